/** A provider of another kind joins by its file and one line in the list of types: it is stored in, configured and examined. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { PROVIDER_TYPES } from '../../src/storage/factory.ts';
import { examineStorage } from '../../src/storage/storage.ts';
import { strayObjects } from '../support/bucket.ts';
import { folderObjects, folderStorage } from './folder-storage.ts';
import { describeProvider, openMain } from './provider-suite.ts';

// What factory.ts has a line for.
PROVIDER_TYPES.push(folderStorage);
// The schema is made of the list when it is loaded.
const { explainConfig, loadConfig } = await import('../../src/config.ts');

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

async function configFile(text: string): Promise<string> {
  const file = join(await newFolder(), 'image-storage.yaml');
  await writeFile(file, text);
  return file;
}

describeProvider('a sample provider', {
  open: async (options) =>
    openMain({
      settings: (folder) => ({ type: 'folder', path: join(folder, 'objects'), stateDir: join(folder, 'state') }),
      leftovers: async (_, folder) => [
        ...strayObjects(await contentsOf(join(folder, 'objects'))),
        ...(await readdir(join(folder, 'state', 'spool', 'main'))),
      ],
      ...options,
    }),
  storageType: 'folder',
  hasTrash: true,
  urlOf: (key) => new RegExp(`^file://.*/${key}$`),
});

it('is set in a configuration file, in variables and flags, and explained like any other', async () => {
  const file = await configFile('providers:\n  shelf:\n    type: folder\n    path: /srv/shelf\n');
  const env = { IMAGE_STORAGE_PROVIDERS_SHELF_SYNC_SECONDS: '7' };
  const config = loadConfig({ configFile: file, env });
  expect(config).toMatchObject({
    defaultProvider: 'shelf',
    providers: { shelf: { type: 'folder', path: '/srv/shelf', syncSeconds: 7, lockWaitSeconds: 30, required: true } },
  });
  const paths = explainConfig({ configFile: file, env }).map(({ path }) => path);
  expect(paths).toContain('providers.shelf.path');
});

it.each([
  ['type: folder', 'providers.shelf.path (FILE:3): must be set'],
  [
    'type: folder\n    path: /a\n    basePath: /b',
    'providers.shelf.basePath (FILE:5): unknown for a provider of this type',
  ],
  ['type: folder\n    path: 7', 'providers.shelf.path (FILE:4): must be text'],
  ['type: shelf', 'providers.shelf.type (FILE:3): must be local or s3 or folder'],
])('is refused with its setting by name: %s', async (settings, problem) => {
  const file = await configFile(`providers:\n  shelf:\n    ${settings}\n`);
  expect(() => loadConfig({ configFile: file })).toThrow(problem.replace('FILE', file));
});

it('is examined by doctor', async () => {
  const folder = await newFolder();
  const shelf = { type: 'folder', path: join(folder, 'objects'), stateDir: join(folder, 'state') };
  const verdicts: Record<string, string> = {};
  for await (const { provider, name, verdict } of examineStorage({ providers: { shelf } })) {
    verdicts[`${provider} ${name}`] = verdict;
  }
  expect(verdicts).toMatchObject({
    'shelf create': 'ok',
    'shelf race': 'ok',
    'shelf list': 'ok',
    'shelf delete': 'ok',
  });
  expect(Object.values(verdicts)).not.toContain('failed');
});

async function contentsOf(root: string): Promise<Map<string, { bytes: Buffer }>> {
  const objects = folderObjects(root);
  const contents = new Map<string, { bytes: Buffer }>();
  for (const { key } of (await objects.list('')).objects) {
    const { body } = await objects.get(key);
    contents.set(key, { bytes: Buffer.concat(await body.toArray()) });
  }
  return contents;
}
