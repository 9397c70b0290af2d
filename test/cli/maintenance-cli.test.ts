/** `image-storage verify` and `copy` as people and scripts use them: what they print, what they ask, how they end. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect, type Image, type ImageStorageClient } from '../../src/client.ts';
import { EXIT } from '../../src/exit-codes.ts';
import { type Hands, handsOnFolder } from '../support/behind-the-back.ts';
import { COMMAND } from '../support/command.ts';
import { untilNothingIsStaged } from '../support/files.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemonOver } from '../support/running-daemon.ts';

const hasScript = spawnSync('script', ['--version']).stdout?.includes('util-linux') ?? false;
const COPY = ['copy', '--from', 'local', '--to', 'archive'];

let folder: string;
let config: string;
let daemon: Pick<RunningDaemon, 'address' | 'close'>;
let client: ImageStorageClient;
let hands: Hands;
let images: [Image, Image];

/** Two images in the provider `local`, and an empty `archive`. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-cli-'));
  config = join(folder, 'config.json');
  const [local, archive] = ['local', 'archive'].map((name) => ({ type: 'local', basePath: join(folder, name) }));
  await writeFile(config, JSON.stringify({ defaultProvider: 'local', providers: { local, archive } }));
  daemon = await runDaemonOver({ configFile: config });
  client = connect(daemon.address);
  hands = handsOnFolder(join(folder, 'local'));
  images = [await saved(1), await saved(2)];
  await untilNothingIsStaged(join(folder, 'local'));
});
afterEach(async () => {
  client.close();
  await daemon.close();
  await rm(folder, { recursive: true });
});

function saved(seed: number): Promise<Image> {
  const metadata = { prompt: `fox ${seed}`, model: 'flux', timestamp: new Date(Date.UTC(2024, 8, seed)) };
  return client.save(pngOf({ width: 8, height: 8, sizeBytes: 1000, seed }), metadata);
}

async function run(command: string[], where = ['--address', daemon.address]) {
  const child = spawn(process.execPath, [COMMAND, ...command, ...where], { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve));
  const [stdout, stderr, exitCode] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  return { stdout, stderr, exitCode };
}

/** Behind a pseudo-terminal, whose output is both stdout and stderr. */
async function runInTerminal(command: string[], answer: string) {
  const line = [process.execPath, COMMAND, ...command, '--address', daemon.address]
    .map((word) => `'${word}'`)
    .join(' ');
  const child = spawn('script', ['-qec', line, '/dev/null']);
  child.stdin.write(`${answer}\n`);
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve));
  return { output: await text(child.stdout), exitCode: await exited };
}

const jsonLines = (stdout: string) =>
  stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));

async function namesIn(provider: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { filename } of client.list({ provider, order: 'oldest' })) names.push(filename);
  return names;
}

describe('verify', () => {
  it('says that all is sound, and 0', async () => {
    expect(await run(['verify'])).toEqual({ stdout: 'checked 2 images, 2.0 kB; all sound\n', stderr: '', exitCode: 0 });
    const deep = await run(['verify', '--provider', '*', '--deep']);
    expect(deep).toMatchObject({ stdout: 'read 2 images, 2.0 kB; all sound\n', exitCode: EXIT.OK });
  });

  it('prints what is wrong and where, and 1; with --repair what was done about it, and 0', async () => {
    await hands.write(`${images[0].key}.txt`, Buffer.from('text'));
    const line = `${images[0].key}.txt: none of the files of the store`;
    expect(await run(['verify'])).toEqual({
      stdout: `${line}\nchecked 2 images, 2.0 kB; 1 finding\n`,
      stderr: '',
      exitCode: EXIT.NEGATIVE,
    });
    const [finding, { summary }] = jsonLines((await run(['verify', '--json'])).stdout);
    const foreign = { provider: 'local', key: `${images[0].key}.txt`, filename: '', problem: 'foreign' };
    expect(finding).toEqual({ ...foreign, remedy: 'none', detail: '' });
    expect(summary).toEqual({ images: 2, bytes: 2000, findings: 1, remedied: 0, undecided: 0 });
    expect(await run(['verify', '--repair'])).toMatchObject({
      stdout: `${line}: quarantined\nchecked 2 images, 2.0 kB; 1 finding; 1 remedied\n`,
      exitCode: EXIT.OK,
    });
  });

  it('does not forget where nobody can be asked, unless it is told that this is meant', async () => {
    await hands.remove(images[0].key);
    const refused = await run(['verify', '--forget-missing']);
    expect(refused).toMatchObject({ stderr: expect.stringContaining('--yes'), exitCode: EXIT.USAGE });
    expect(await namesIn('local')).toHaveLength(2);
    const { stdout, exitCode } = await run(['verify', '--forget-missing', '--yes']);
    expect(stdout).toMatch(`${images[0].key}: the bytes are gone: forgotten\n`);
    expect(exitCode).toBe(EXIT.OK);
    expect(await namesIn('local')).toEqual([images[1].filename]);
  });

  it('ends as other commands do where the daemon is away, or does not know the provider', async () => {
    const away = await run(['verify'], ['--address', '127.0.0.1:1']);
    expect(away).toMatchObject({
      stderr: expect.stringContaining('is the daemon running?'),
      exitCode: EXIT.UNAVAILABLE,
    });
    expect((await run(['verify', '--provider', 'nowhere'])).exitCode).toBe(EXIT.USAGE);
  });

  it('opens the stores itself where no daemon runs, and says so where one does', async () => {
    const own = ['--config', config];
    const both = await run(['verify'], ['--address', daemon.address, ...own]);
    expect(both).toMatchObject({ stderr: expect.stringContaining('only one of them'), exitCode: EXIT.USAGE });
    const locked = await run(['verify'], own);
    expect(locked).toMatchObject({ stderr: expect.stringMatching('another process has'), exitCode: EXIT.LOCKED });
    await daemon.close();
    const sound = { stdout: 'checked 2 images, 2.0 kB; all sound\n', stderr: '', exitCode: EXIT.OK };
    expect(await run(['verify', '--provider', '*'], own)).toEqual(sound);
  });

  it('needs no other provider than those that are meant, when it opens the stores itself', async () => {
    await daemon.close();
    const { providers, ...rest } = JSON.parse(await readFile(config, 'utf8'));
    // A folder that is a file.
    const broken = { type: 'local', basePath: config };
    await writeFile(
      config,
      JSON.stringify({ ...rest, defaultProvider: 'broken', providers: { ...providers, broken } }),
    );
    const own = ['--config', config];
    expect((await run(['verify', '--provider', 'local'], own)).exitCode).toBe(EXIT.OK);
    expect((await run(COPY, own)).exitCode).toBe(EXIT.OK);
    const failed = { stderr: expect.stringContaining('providers.broken'), exitCode: EXIT.CONFIG };
    for (const provider of [[], ['--provider', '*']]) {
      expect(await run(['verify', ...provider], own)).toMatchObject(failed);
    }
  });
});

describe('copy', () => {
  it('says what it did, and that it is done already', async () => {
    expect(await run(COPY)).toEqual({ stdout: 'copied 2 images, 2.0 kB\n', stderr: '', exitCode: EXIT.OK });
    expect((await run(COPY)).stdout).toBe('copied 0 images, 0 B; 2 in archive already\n');
    expect(await namesIn('archive')).toEqual(await namesIn('local'));
  });

  it('says in a dry run what it would do', async () => {
    const { stdout } = await run([...COPY, '--dry-run', '--delete-source', '--before', '2024-09-02']);
    expect(stdout).toBe('would copy 1 image, 1.0 kB\n');
    expect(await namesIn('archive')).toEqual([]);
  });

  it('names each image that failed, and ends with 1', async () => {
    await hands.remove(images[0].key);
    const { stdout, stderr, exitCode } = await run(COPY);
    expect(stdout).toBe('copied 1 image, 1.0 kB; 1 failed\n');
    expect(stderr).toBe(`image-storage: ${images[0].filename}: the image was saved, and its file is gone\n`);
    expect(exitCode).toBe(EXIT.NEGATIVE);
    const json = await run([...COPY, '--json']);
    expect(jsonLines(json.stdout)).toEqual([
      { filename: images[0].filename, reason: 'BYTES_MISSING', message: 'the image was saved, and its file is gone' },
      { summary: { copied: 0, copiedBytes: 0, present: 1, failed: 1, deleted: 0, dryRun: false, complete: true } },
    ]);
    expect(json).toMatchObject({ stderr: '', exitCode: EXIT.NEGATIVE });
  });

  it('does not delete where nobody can be asked, unless it is told that this is meant', async () => {
    const refused = await run([...COPY, '--delete-source']);
    expect(refused).toMatchObject({ stderr: expect.stringContaining('--yes'), exitCode: EXIT.USAGE });
    expect(await namesIn('archive')).toEqual([]);
    const { stdout } = await run([...COPY, '--delete-source', '--yes']);
    expect(stdout).toBe('copied 2 images, 2.0 kB; 2 deleted from local\n');
    expect([await namesIn('local'), await namesIn('archive')]).toMatchObject([
      [],
      images.map(({ filename }) => filename),
    ]);
  });

  it.each([
    ['one provider twice', ['copy', '--from', 'local', '--to', 'local']],
    ['a provider that is not there', ['copy', '--from', 'local', '--to', 'nowhere']],
    ['no provider', ['copy', '--from', 'local']],
    ['65 at once', [...COPY, '--concurrency', '65']],
    ['none at once', [...COPY, '--concurrency', '0']],
  ])('refuses %s', async (_, command) => {
    expect((await run(command)).exitCode).toBe(EXIT.USAGE);
  });

  it('opens the stores itself where no daemon runs', async () => {
    await daemon.close();
    const { stdout, exitCode } = await run(COPY, ['--config', config]);
    expect({ stdout, exitCode }).toEqual({ stdout: 'copied 2 images, 2.0 kB\n', exitCode: EXIT.OK });
    const copy = images[1].key.replace('outputs/', 'archive/');
    expect(await readFile(join(folder, copy))).toEqual(await hands.read(images[1].key));
  });
});

requires('script, of util-linux', hasScript)('on a terminal', () => {
  it('verify asks before it forgets, and does not take another damage for repaired', async () => {
    const command = ['verify', '--deep', '--forget-missing'];
    const changed = await saved(3);
    const bytes = await hands.read(changed.key);
    bytes[100]! ^= 1;
    await hands.write(changed.key, bytes);
    await hands.remove(images[0].key);
    const no = await runInTerminal(command, 'n');
    expect(no.output).toMatch(/Delete the records of 1 image\? \[y\/N\]/);
    expect(no.exitCode).toBe(EXIT.NEGATIVE);
    expect(await namesIn('local')).toHaveLength(3);
    const yes = await runInTerminal(command, 'yes');
    expect(yes.output).toContain('forgotten');
    expect(yes.exitCode).toBe(EXIT.NEGATIVE);
    expect(await namesIn('local')).toEqual([images[1].filename, changed.filename]);
    await client.delete(changed.filename, { permanent: true });
    await hands.remove(images[1].key);
    const other = await saved(4);
    expect((await runInTerminal(command, 'y')).exitCode).toBe(EXIT.OK);
    expect(await namesIn('local')).toEqual([other.filename]);
  });

  it('copy asks before it deletes, and shows how far it is', async () => {
    const no = await runInTerminal([...COPY, '--delete-source'], 'n');
    expect(no.output).toMatch(/Delete from local what archive has\? \[y\/N\]/);
    expect(no).toMatchObject({
      output: expect.stringContaining('nothing was copied or deleted'),
      exitCode: EXIT.NEGATIVE,
    });
    expect(await namesIn('archive')).toEqual([]);
    const yes = await runInTerminal([...COPY, '--delete-source'], 'yes');
    expect(yes.output).toMatch(/\[[█·]+\] +\d+% {2}\S+ \S+ of 2\.0 kB, \d of 2 images/);
    expect(yes.exitCode).toBe(EXIT.OK);
    expect(await namesIn('local')).toEqual([]);
  });
});
