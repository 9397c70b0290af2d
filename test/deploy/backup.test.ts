/** The backup that docs/operating.md shows, beside a running daemon: what a restore of it has, whatever happened meanwhile. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { connect, type ImageStorageClient } from '../../src/client.ts';
import { createStorage } from '../../src/storage/index.ts';
import { pngOf } from '../support/images.ts';
import { works } from '../support/mounts.ts';
import { requires } from '../support/requires.ts';
import { runDaemon } from '../support/running-daemon.ts';

const page = readFileSync('docs/operating.md', 'utf8');
const [, block] = /## Backup.*?```sh\n(.*?)```/s.exec(page)!;
/** A function, and a line for each pass. */
const [prelude, ...passes] = block!.trim().split('\n') as [string, ...string[]];

const folder = mkdtempSync(join(tmpdir(), 'image-storage-backup-'));
afterAll(() => rmSync(folder, { recursive: true }));

type Name = 'kept' | 'pinned' | 'trashed' | 'purged' | 'restored' | 'came' | 'late' | 'goesLate' | 'backLate' | 'brief';

requires('rsync', works('rsync', '--version'))('a backup', () => {
  it('has what the daemon had at the second pass', async () => {
    await using daemon = await runDaemon();
    const store = join(dirname(daemon.socket), 'outputs');
    const backup = join(folder, 'outputs');
    const client = connect(daemon.address);
    const names = {} as Record<Name, string>;
    let seed = 0;
    const save = async (...wanted: Name[]) => {
      for (const name of wanted) {
        seed += 1;
        names[name] = (await client.save(pngOf({ width: 64, height: 64, seed }), { prompt: `it is ${name}` })).filename;
      }
    };
    const pass = (number: number) => {
      const script = `${prelude}\n${passes[number]}`;
      const env = { ...process.env, STORE: store, BACKUP: backup };
      expect(spawnSync('sh', ['-c', `mkdir -p "$BACKUP" && ${script}`], { env, encoding: 'utf8' })).toMatchObject({
        status: 0,
      });
    };

    expect(passes).toHaveLength(3);
    await save('kept', 'pinned', 'trashed', 'purged', 'restored', 'goesLate', 'backLate');
    await remove(client, names.restored, names.backLate);
    pass(0);
    await save('came', 'brief');
    await remove(client, names.trashed);
    await client.delete([names.purged], { permanent: true });
    await client.restore([names.restored]);
    await client.update(names.pinned, { pinned: true });
    // Records are placed behind the answers.
    await expect.poll(() => readdirSync(join(store, 'metadata/staging'))).toEqual([]);
    pass(1);
    await save('late');
    await remove(client, names.goesLate, names.brief);
    await client.restore([names.backLate]);
    pass(2);
    client.close();

    await using restored = await createStorageAt(backup);
    const { storage } = restored;
    const nameOf = (filename: string) => Object.entries(names).find(([, each]) => each === filename)![0];
    const live = (await storage.list()).map(({ filename }) => nameOf(filename)).sort();
    expect(live).toEqual(['brief', 'came', 'goesLate', 'kept', 'pinned', 'restored']);
    const trash = (await storage.listTrash()).map(({ filename }) => nameOf(filename)).sort();
    expect(trash).toEqual(['backLate', 'trashed']);
    for (const name of ['came', 'goesLate', 'kept', 'pinned', 'restored'] as const) {
      const { item, body } = await storage.get(names[name]);
      let sizeBytes = 0;
      for await (const chunk of body) sizeBytes += chunk.length;
      expect([name, sizeBytes, item.metadata?.prompt, item.pinned]).toEqual([
        name,
        item.size,
        `it is ${name}`,
        name === 'pinned',
      ]);
    }
    const findings = async (repair: boolean) => {
      const found: string[] = [];
      for await (const event of storage.verify({ provider: 'local', repair })) {
        if (event.kind === 'finding') found.push(`${nameOf(event.finding.filename!)} ${event.finding.problem}`);
      }
      return found.sort();
    };
    expect(await findings(true)).toEqual(['brief bytes_missing', 'late not_committed']);
    expect(await findings(false)).toEqual(['brief bytes_missing']);
    expect((await storage.list()).map(({ filename }) => filename)).toContain(names.late);
  });
});

async function remove(client: ImageStorageClient, ...filenames: string[]): Promise<void> {
  for (const { deleted } of await client.delete(filenames)) expect(deleted).toBe(true);
}

async function createStorageAt(basePath: string) {
  const storage = await createStorage({ providers: { local: { basePath } } });
  return { storage, [Symbol.asyncDispose]: () => storage.close() };
}
