/** When the clients, the page and the fleet are checked again: whenever something that their checks depend on has changed. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { fingerprintOf, PARTS } from '../../scripts/checked-parts.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'image-storage-checked-'));
  execFileSync('git', ['init', '--quiet', root]);
  await write('.gitignore', 'target/\n');
  await write('package.json', JSON.stringify({ devDependencies: { '@bufbuild/buf': '1.0.0' } }));
  for (const path of ['clients/go/client.go', 'proto/a.proto', 'examples/go/main.go', 'src/daemon.ts']) {
    await write(path, 'as it was');
  }
  execFileSync('git', ['add', '.'], { cwd: root });
});
afterEach(() => rm(root, { recursive: true }));

async function write(path: string, text: string): Promise<void> {
  await mkdir(join(root, dirname(path)), { recursive: true });
  await writeFile(join(root, path), text);
}

it.each([
  ['a client', 'clients/go/client.go'],
  ['the contract', 'proto/a.proto'],
  ['an example', 'examples/go/main.go'],
  ['a file that is not committed yet', 'clients/go/new.go'],
  ['a check of theirs', 'test/clients/go-client.test.ts'],
  ['what their page shows', 'docs/clients.md'],
])('%s that changes is seen', async (_, path) => {
  const before = fingerprintOf('clients', root);
  await write(path, 'changed');
  expect(fingerprintOf('clients', root)).not.toBe(before);
});

it('a file that is removed or renamed is seen', async () => {
  const before = fingerprintOf('clients', root);
  await rm(join(root, 'examples/go/main.go'));
  const removed = fingerprintOf('clients', root);
  await write('examples/go/worker.go', 'as it was');
  expect(new Set([before, removed, fingerprintOf('clients', root)]).size).toBe(3);
});

it.each([
  ['generator of the clients', 'clients', { devDependencies: { '@bufbuild/buf': '2.0.0' } }],
  ['driver of the fleet', 'fleet', { dependencies: { pg: '9.0.0' } }],
] as const)('another %s is seen', async (_, part, packages) => {
  const before = fingerprintOf(part, root);
  await write('package.json', JSON.stringify(packages));
  expect(fingerprintOf(part, root)).not.toBe(before);
});

it.each([
  ['the daemon', 'src/daemon.ts'],
  ['what a build leaves', 'clients/rust/target/debug/example'],
  ['the record itself', PARTS.clients.record],
  ['the page', 'web/src/main.ts'],
])('%s makes no difference', async (_, path) => {
  const before = fingerprintOf('clients', root);
  await write(path, 'changed');
  expect(fingerprintOf('clients', root)).toBe(before);
});

it.each([
  ['page', 'web/src/main.ts', true],
  ['page', 'src/http/gallery.ts', true],
  ['page', 'test/gallery/cull.test.ts', true],
  ['page', 'clients/go/client.go', false],
  ['page', PARTS.page.record, false],
  ['fleet', 'src/storage/bucket/protocol.ts', true],
  ['fleet', 'test/bucket/fleet.test.ts', true],
  ['fleet', 'src/http/gallery.ts', false],
  ['fleet', PARTS.fleet.record, false],
] as const)('the %s is checked again when %s has changed: %s', async (part, path, again) => {
  const before = fingerprintOf(part, root);
  await write(path, 'changed');
  expect(fingerprintOf(part, root) !== before).toBe(again);
});

it('all packages of the parts are installed', () => {
  const { devDependencies } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const packages = Object.values(PARTS).flatMap((part) => ('packages' in part ? part.packages : []));
  expect(Object.keys(devDependencies)).toEqual(expect.arrayContaining(packages));
});
