/** When the clients and the page are checked again: whenever something that their checks depend on has changed. */
import { execFileSync } from 'node:child_process';
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

it('another generator is seen', async () => {
  const before = fingerprintOf('clients', root);
  await write('package.json', JSON.stringify({ devDependencies: { '@bufbuild/buf': '2.0.0' } }));
  expect(fingerprintOf('clients', root)).not.toBe(before);
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
  ['the page', 'web/src/main.ts', true],
  ['what serves it', 'src/http/gallery.ts', true],
  ['a test of it', 'test/gallery/cull.test.ts', true],
  ['a client', 'clients/go/client.go', false],
  ['the record itself', PARTS.page.record, false],
])('the page is checked again when %s has changed, at %s: %s', async (_, path, again) => {
  const before = fingerprintOf('page', root);
  await write(path, 'changed');
  expect(fingerprintOf('page', root) !== before).toBe(again);
});
