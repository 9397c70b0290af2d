/** The client commands as people and scripts use them, against a real daemon. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type handleClientStreamingCall, type handleUnaryCall, type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CleanupRequest, SaveRequest } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { connect, type ImageMetadata, type ImageStorageClient, type SaveOptions } from '../../src/client.ts';
import { EXIT } from '../../src/exit-codes.ts';
import { refusal, startScripted } from '../client/scripted-daemon.ts';
import { COMMAND } from '../support/command.ts';
import { pngOf, sharedImages } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';

const hasScript = spawnSync('script', ['--version']).stdout?.includes('util-linux') ?? false;

interface Ended {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

let folder: string;
let daemon: RunningDaemon;
let client: ImageStorageClient;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-cli-'));
  daemon = await runDaemon();
  client = connect(daemon.address);
});

afterAll(async () => {
  client.close();
  await daemon.close();
  await rm(folder, { recursive: true });
});

async function run(
  command: string[],
  { input = '', address = daemon.address }: { input?: Uint8Array | string; address?: string } = {},
) {
  const child = spawn(process.execPath, [COMMAND, ...command, '--address', address], { cwd: folder });
  child.stdin.end(input);
  const [stdout, stderr, exitCode] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.on('close', resolve)),
  ]);
  return { exitCode, stdout, stderr } satisfies Ended;
}

/** What a command with `--json` printed, one object a line. */
async function runJson(command: string[], options?: Parameters<typeof run>[1] & { stderr?: RegExp }) {
  const { stdout, exitCode, stderr } = await run([...command, '--json'], options);
  expect(stderr).toMatch(options?.stderr ?? /^$/);
  expect(exitCode).toBe(EXIT.OK);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** Writes an image into the folder of the commands. */
async function imageFile(name: string, options: Partial<Parameters<typeof pngOf>[0]> = {}): Promise<Buffer> {
  const bytes = pngOf({ width: 8, height: 6, ...options });
  await writeFile(join(folder, name), bytes);
  return bytes;
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

describe('the real images', () => {
  const images = sharedImages();

  it.runIf(images.length > 0)('are saved together, listed, counted and read back whole', async () => {
    const paths = images.map(({ path }) => path);
    const saved = await runJson(['save', ...paths, '--category', 'real', '--tag', 'a', '--tag', 'b']);
    expect(saved.map((image) => image.sha256)).toEqual(images.map(({ bytes }) => sha256(bytes)));
    expect(saved[0]).toMatchObject({ category: 'real', tags: ['a', 'b'], provider: 'local', replayed: false });

    const listed = await runJson(['list', '--category', 'real', '--tag', 'b']);
    expect(new Set(listed.map(({ filename }) => filename))).toEqual(new Set(saved.map(({ filename }) => filename)));

    const [stats] = await runJson(['stats']);
    const bytes = images.reduce((sum, image) => sum + image.bytes.length, 0);
    expect(stats.byCategory).toContainEqual({ name: 'real', count: images.length, bytes, rest: false });

    await Promise.all(saved.map(({ filename }, i) => run(['get', filename, '-o', `copy-${i}`])));
    for (const [i, { bytes }] of images.entries()) expect(await readFile(join(folder, `copy-${i}`))).toEqual(bytes);
  });

  it.runIf(images.length > 0)('bring their prompt and model along', async () => {
    const { path } = images.find(({ name }) => name.startsWith('chroma'))!;
    const [saved] = await runJson(['save', path, '--model', 'mine']);
    expect(saved.prompt).toMatch(/fennec/i);
    expect(saved.model).toBe('mine');
    expect(await runJson(['list', '--query', 'fenn', '--model', 'mine'])).toEqual([
      expect.objectContaining({ filename: saved.filename }),
    ]);
  });
});

describe('save', () => {
  it('reads stdin, and keeps a 64-bit seed', async () => {
    const bytes = pngOf({ width: 2, height: 2, seed: 1 });
    const seed = 'seed=18446744073709551615';
    const [saved] = await runJson(['save', '-', '--prompt', 'piped', '--param', seed, '--param', 'sampler=euler'], {
      input: bytes,
    });
    expect(saved).toMatchObject({ sha256: sha256(bytes), size: bytes.length, width: 2, height: 2, prompt: 'piped' });
    expect(saved.parametersJson).toBe('{"seed":18446744073709551615,"sampler":"euler"}');
  });

  it('tells which files failed, and saves the others in order', async () => {
    await imageFile('first.png', { seed: 2 });
    await writeFile(join(folder, 'broken.png'), 'no image at all');
    await imageFile('last.png', { seed: 3, width: 9 });
    await mkdir(join(folder, 'ill'));
    const files = ['first.png', 'missing.png', 'broken.png', 'ill', 'last.png'];
    const { stdout, stderr, exitCode } = await run(['save', ...files]);
    expect(stdout).toMatch(
      /^saved \S+\.png {2}\S+ k?B {2}8×6 {2}http:\/\/\S+\nsaved \S+\.png {2}\S+ k?B {2}9×6 {2}\S+\n$/,
    );
    expect(stderr).toMatch(
      /: missing\.png: no such file or folder\n.*broken\.png: .*\n.* ill: is a folder: image-storage import takes folders\n$/,
    );
    expect(exitCode).toBe(EXIT.IO);
  });

  it('says that the same bytes are there, and leaves such files when told to', async () => {
    await imageFile('twice.png', { seed: 70 });
    await imageFile('once.png', { seed: 71 });
    const first = await run(['save', 'twice.png']);
    const name = /saved (\S+)/.exec(first.stdout)![1]!;
    expect(first.stderr).toBe('');
    const again = await run(['save', 'twice.png', '--skip-existing']);
    expect(again).toEqual({
      exitCode: EXIT.OK,
      stderr: '',
      stdout: `skipped twice.png: it is there already, as ${name}\n`,
    });
    await imageFile('new.png', { seed: 72 });
    await copyFile(join(folder, 'new.png'), join(folder, 'equal.png'));
    const equal = await runJson(['save', 'new.png', 'equal.png', '--skip-existing']);
    expect(equal.map(({ filename }) => filename)).toEqual([equal[0].filename, equal[0].filename]);
    expect(equal[1]).toMatchObject({ skipped: true });
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    expect(await run(['save', 'pipe', '--skip-existing'])).toMatchObject({
      exitCode: EXIT.USAGE,
      stderr: expect.stringContaining('pipe is no file: it is read once'),
    });
    const [skipped, saved] = await runJson(['save', 'twice.png', 'once.png', '--skip-existing']);
    expect(skipped).toMatchObject({ filename: name, skipped: true });
    expect(saved).toMatchObject({ replayed: false });
    expect((await run(['save', 'twice.png'])).stderr).toMatch(
      `: the same bytes were there, as ${name}; --skip-existing `,
    );
  });

  it('makes one image of a save that is repeated with its key', async () => {
    await imageFile('once.png', { seed: 4 });
    const command = ['save', 'once.png', '--idempotency-key', 'k', '--timestamp', '2024-09-27T14:15:22Z', '--pinned'];
    const [first] = await runJson(command);
    const [second] = await runJson(command);
    expect(second).toEqual({ ...first, replayed: true });
    expect(first).toMatchObject({ filename: expect.stringMatching(/^20240927_141522_/), pinned: true });
  });

  it.each([
    [['once.png', 'once.png', '--idempotency-key', 'k'], 'one file'],
    [['once.png', '--param', 'seed'], 'key=value'],
    [['once.png', '--timestamp', 'yesterday'], 'RFC 3339'],
    [['once.png', '--params-json', '[1]'], 'parameters_json'],
  ])('refuses %j', async (command, problem) => {
    const { stderr, exitCode } = await run(['save', ...command]);
    expect(stderr).toContain(problem);
    expect(exitCode).toBe(EXIT.USAGE);
  });

  it('says that no daemon is there', async () => {
    await imageFile('unsent.png');
    const { stderr, exitCode } = await run(['save', ...Array(9).fill('unsent.png')], { address: '127.0.0.1:1' });
    expect(stderr).toContain('cannot reach 127.0.0.1:1: is the daemon running?');
    expect(stderr).toMatch(/not sent: \d of 9 files/);
    expect(exitCode).toBe(EXIT.UNAVAILABLE);
  });
});

describe('get', () => {
  it('writes to stdout when that is no terminal, and overwrites no file unless told to', async () => {
    const bytes = pngOf({ width: 8, height: 6, seed: 5 });
    const filename = await saved(5, {});
    const child = spawn(process.execPath, [COMMAND, 'get', filename, '--address', daemon.address]);
    expect(Buffer.concat(await child.stdout.toArray())).toEqual(bytes);

    await writeFile(join(folder, 'target'), 'precious');
    const refused = await run(['get', filename, '-o', 'target']);
    expect(refused).toMatchObject({ exitCode: EXIT.IO, stderr: expect.stringContaining('--force') });
    expect(await readFile(join(folder, 'target'), 'utf8')).toBe('precious');
    await run(['get', filename, '-o', 'target', '--force']);
    expect(await readFile(join(folder, 'target'))).toEqual(bytes);
  });

  it('writes into a pipe and behind a link, and replaces neither', async () => {
    const bytes = pngOf({ width: 8, height: 6, seed: 5 });
    const filename = await saved(5, {});
    spawnSync('mkfifo', [join(folder, 'pipe')]);
    const reader = spawn('cat', [join(folder, 'pipe')]);
    const [read] = await Promise.all([reader.stdout.toArray(), run(['get', filename, '-o', 'pipe'])]);
    expect(Buffer.concat(read)).toEqual(bytes);
    await writeFile(join(folder, 'behind'), 'old');
    await symlink('behind', join(folder, 'link'));
    expect((await run(['get', filename, '-o', 'link', '--force'])).exitCode).toBe(EXIT.OK);
    expect(await readFile(join(folder, 'behind'))).toEqual(bytes);
    expect((await lstat(join(folder, 'link'))).isSymbolicLink()).toBe(true);
  });

  it('names the folder that is not there', async () => {
    const filename = await saved(8, {});
    const { stderr, exitCode } = await run(['get', filename, '-o', 'nowhere/a.png']);
    expect(stderr).toMatch(/^image-storage: \S*nowhere: no such file or folder\n$/);
    expect(exitCode).toBe(EXIT.IO);
  });

  it('leaves nothing when there is no such image', async () => {
    const { stderr, exitCode } = await run(['get', '20240927_141522_flux_abc123.png', '-o', 'nothing']);
    expect(exitCode).toBe(EXIT.NEGATIVE);
    expect(stderr).toMatch(/^image-storage: 20240927_141522_flux_abc123.png: no such image; image-storage list /);
    expect((await readdir(folder)).filter((name) => /nothing/.test(name))).toEqual([]);
  });
});

describe('list', () => {
  it('shows a table in which no prompt drives the terminal, and says when there is more', async () => {
    await saved(6, { prompt: 'red\x1b[2Jfox\n猫', category: 'loud' });
    await saved(6, { prompt: 'another', category: 'loud' });
    const { stdout, stderr } = await run(['list', '--category', 'loud', '--limit', '1', '--order', 'oldest']);
    const [title, row, ...rest] = stdout.trimEnd().split('\n');
    expect(title).toMatch(/^TIME \(UTC\) +SIZE +PIXELS +MODEL +FILENAME +PROMPT$/);
    expect(row!.indexOf('red [2Jfox 猫')).toBe(title!.indexOf('PROMPT'));
    expect(rest).toEqual([]);
    expect(stderr).toContain('--limit 0');
  });

  it('marks in a table where a prompt was cut, and prints all of it as JSON', async () => {
    const prompts = [`${'x'.repeat(298)}🦊`, `${'x'.repeat(299)}🦊 and more`];
    for (const prompt of prompts) await saved(8, { prompt, category: 'long' });
    const { stdout } = await run(['list', '--category', 'long', '--order', 'oldest']);
    const rows = stdout.trimEnd().split('\n').slice(1);
    expect(rows.map((row) => row.slice(row.indexOf('xxx')))).toEqual([prompts[0], `${'x'.repeat(299)}…`]);
    const listed = await runJson(['list', '--category', 'long', '--order', 'oldest']);
    expect(listed).toMatchObject(prompts.map((prompt) => ({ prompt })));
  });

  it('takes dates and pins into account', async () => {
    const filename = await saved(7, { timestamp: new Date('2001-02-03T23:59:59Z') }, { pinned: true });
    const day = ['--since', '2001-02-03', '--until', '2001-02-03'];
    expect(await runJson(['list', ...day, '--pinned'])).toEqual([expect.objectContaining({ filename, pinned: true })]);
    expect(await runJson(['list', ...day, '--not-pinned'])).toEqual([]);
  });
});

describe('pin, unpin and tag', () => {
  it('change images, and end with 1 when something was not there', async () => {
    const filename = await saved(9, { tags: ['old'] });
    const pinned = await run(['pin', filename, 'nope.png']);
    expect(pinned).toMatchObject({ stdout: `pinned ${filename}\n`, exitCode: EXIT.NEGATIVE });
    expect(pinned.stderr).toBe('image-storage: nope.png: not there\n');
    expect(await runJson(['unpin', filename])).toMatchObject([{ filename, pinned: false }]);
    const tagged = await run(['tag', filename, '+new', '-old', '-h', '+a b', '--category', 'final']);
    expect(tagged).toMatchObject({ stdout: `${filename}: new, a b, category final\n`, exitCode: 0 });
    expect((await run(['tag', filename, '-new', '-a b', '--category', ''])).stdout).toBe(`${filename}: no tags\n`);
  });

  it('ask for an image and a tag, and refuse one that is added and removed', async () => {
    for (const words of [['+a'], ['x.png'], ['x.png', '+'], [await saved(9, {}), '+a', '-a']]) {
      expect(await run(['tag', ...words]), words.join(' ')).toMatchObject({ exitCode: EXIT.USAGE, stdout: '' });
    }
  });

  it('say that an older daemon cannot change images', async () => {
    await using older = await startScripted({});
    const { exitCode, stderr } = await run(['pin', 'x.png'], { address: older.address });
    expect(stderr).toBe('image-storage: this daemon is older: it cannot change images\n');
    expect(exitCode).toBe(EXIT.NEGATIVE);
  });
});

describe('delete', () => {
  it('ends with 1 when something was not there', async () => {
    const filename = await saved(8, {});
    const { stdout, stderr, exitCode } = await run(['delete', filename, 'nope.png']);
    const [told, way, ...rest] = stdout.split(' UTC: ');
    expect(told).toMatch(
      new RegExp(`^deleted ${filename}; in the trash until \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d$`),
    );
    expect([way, ...rest]).toEqual([`image-storage restore ${filename}\n`]);
    expect(stderr).toBe('image-storage: nope.png: not there\n');
    expect(exitCode).toBe(EXIT.NEGATIVE);

    const [trashed] = await runJson(['trash', '--query', `filename:${filename.replace('.png', '')}`]);
    expect(trashed).toMatchObject({ filename, deleteTime: expect.any(String), purgeTime: expect.any(String) });
    const restored = await run(['restore', filename]);
    expect(restored).toEqual({ stdout: `restored ${filename}\n`, stderr: '', exitCode: EXIT.OK });
    await client.delete(filename, { permanent: true });
    expect((await run(['trash', 'purge', filename, '--yes'])).exitCode).toBe(EXIT.NEGATIVE);
  });
});

describe('cleanup', () => {
  it('refuses to delete where nobody can be asked', async () => {
    const { exitCode, stderr } = await run(['cleanup', '--keep-count', '0']);
    expect(exitCode).toBe(EXIT.USAGE);
    expect(stderr).toContain('--yes');
  });

  it('shows what would go, and with --yes lets exactly that go', async () => {
    await saveThree('cleaned');
    const criteria = ['cleanup', '--model', 'cleaned', '--keep-count', '1', '--older-than', '1d'];
    const dry = await run([...criteria, '--dry-run']);
    expect(dry.stdout).toMatch(/^would delete 2 images, .*:\n {2}20020101_\S+\n {2}20020102_\S+\n$/);
    expect(await daysOf('cleaned')).toEqual(['2002-01-03', '2002-01-02', '2002-01-01']);
    const done = await run([...criteria, '--yes']);
    expect(done.stdout).toContain('deleted 2 images');
    expect(await daysOf('cleaned')).toEqual(['2002-01-03']);
  });
});

it('cleanup takes all that a search finds, but for exceptions, and carries out a plan later', async () => {
  const model = 'searched';
  await saveThree(model);
  const [kept, tagged] = await runJson(['list', '--model', model]);
  const which = ['cleanup', '--query', `model:${model}`, '--since', '2002-01-01', '--except', kept.filename];
  const [planned] = await runJson([...which, '--dry-run'], { stderr: /^would delete 2 images/ });
  await client.update(tagged.filename, { addTags: ['mine'] });
  await saved(31, { model, timestamp: new Date('2002-01-04') });
  const told = await run([...which, '--plan', planned.plan, '--yes']);
  expect(told.stdout).toMatch(/^would delete 1 image, .*; 2 images that came or changed since spared:\n/);
  expect(told.stdout).toMatch(
    /\ndeleted 1 image, .*, in the trash until .*; 2 images that came or changed since spared\n/,
  );
  expect(await daysOf(model)).toEqual(['2002-01-04', '2002-01-03', '2002-01-02']);
  const other = await run(['cleanup', '--model', model, '--plan', planned.plan, '--yes']);
  expect(other.exitCode).toBe(EXIT.USAGE);
  expect(other.stderr).toContain('selection.plan: is of another selection');
  const named = ['cleanup', '--only', kept.filename, '--only', tagged.filename, '--tag', 'mine', '--yes', '--json'];
  expect(JSON.parse((await run(named)).stdout)).toMatchObject({ deletedCount: 1, filenames: [tagged.filename] });
});

it('cleanup needs more than exceptions, and says that an older daemon knows no selections', async () => {
  const nothing = await run(['cleanup', '--except', 'a.png', '--yes']);
  expect([nothing.exitCode, nothing.stderr]).toEqual([
    EXIT.USAGE,
    expect.stringContaining('the selection has no filter, no criterion and no plan'),
  ]);
  const cleanup: handleUnaryCall<CleanupRequest, object> = (_, answer) =>
    answer(refusal(status.INVALID_ARGUMENT, 'CLEANUP_WITHOUT_CRITERION') as ServiceError);
  await using older = await startScripted({ cleanup });
  const refused = await run(['cleanup', '--query', 'fox', '--yes'], { address: older.address });
  expect(refused.exitCode).toBe(EXIT.NEGATIVE);
  expect(refused.stderr).toContain('this daemon is older: it knows no selections; update it, or give criteria');
  const both = await run(['cleanup', '--query', 'fox', '--policy', 'drafts', '--yes']);
  expect(both.exitCode).toBe(EXIT.USAGE);
});

it('cleanup names in its plan what is dated in the future, and leaves an age to the daemon', async () => {
  await saveThree('future');
  for (const year of [2098, 2099]) await saved(year, { model: 'future', timestamp: new Date(`${year}-01-01`) });
  const criteria = ['cleanup', '--model', 'future', '--keep-count', '2'];
  const dry = await run([...criteria, '--older-than', '1d', '--dry-run']);
  const plan = /^would delete 1 image, .*; 2 images dated in the future spared and not counted:\n {2}20020101_\S+\n$/;
  expect(dry.stdout).toMatch(plan);
  const json = await run([...criteria, '--dry-run', '--json']);
  expect(JSON.parse(json.stdout)).toMatchObject({ deletedCount: 1, keptFuture: 2 });
  const ahead = await run([...criteria, '--older-than', '2036-01-01', '--yes']);
  expect(ahead.exitCode).toBe(EXIT.USAGE);
  expect(ahead.stderr).toMatch(/older_than: 2036-01-01T\S+ is after now, \S+ by the clock of the daemon/);
  expect(await daysOf('future')).toHaveLength(5);
});

requires('script, of util-linux', hasScript)('cleanup on a terminal', () => {
  it('asks on a terminal, and takes anything but yes for no', async () => {
    await saveThree('asked');
    const criteria = ['cleanup', '--model', 'asked', '--keep-count', '0'];
    const no = await runInTerminal(criteria, [async () => 'n\n']);
    expect(no.stdout).toMatch(/Delete 3 images\? \[y\/N\]/);
    expect(no.exitCode).toBe(EXIT.NEGATIVE);
    expect(await daysOf('asked')).toHaveLength(3);
    expect((await runInTerminal(criteria, [async () => 'yes\n'])).exitCode).toBe(EXIT.OK);
    expect(await daysOf('asked')).toEqual([]);
  });

  it('empties the trash of what was in it when the question was asked', async () => {
    await client.purge({ all: true });
    const shown = await saved(21, {});
    const later = await saved(22, {});
    await client.delete(shown);
    const no = await runInTerminal(['trash', 'purge', '--all'], [async () => 'n\n']);
    expect(no.stdout).toMatch(/Delete 1 image, .*, for good\? \[y\/N\]/);
    expect(no.exitCode).toBe(EXIT.NEGATIVE);
    const answer = async () => {
      await client.delete(later);
      return 'yes\n';
    };
    expect((await runInTerminal(['trash', 'purge', '--all'], [answer])).exitCode).toBe(EXIT.OK);
    expect((await runJson(['trash'])).map(({ filename }) => filename)).toEqual([later]);
  });

  it('deletes what was shown, and nothing that came or changed while it asked', async () => {
    const model = 'meanwhile';
    await saveThree(model);
    const tagged = (await runJson(['list', '--model', model, '--order', 'oldest']))[1].filename;
    const meanwhile = async () => {
      await saved(20, { model, timestamp: new Date('2001-01-01') });
      await saved(21, { model, timestamp: new Date('2003-01-01') });
      await client.update(tagged, { addTags: ['mine'] });
      return 'yes\n';
    };
    const criteria = ['cleanup', '--model', model, '--keep-count', '1'];
    const { stdout, exitCode } = await runInTerminal(criteria, [meanwhile]);
    expect(stdout.match(/would delete \d/g)).toEqual(['would delete 2']);
    expect(stdout).toMatch(/deleted 1 image, .*; 2 images that came or changed since spared/);
    expect(exitCode).toBe(EXIT.OK);
    expect(await daysOf(model)).toEqual(['2003-01-01', '2002-01-03', '2002-01-02', '2001-01-01']);
  });

  it('asks an older daemon again when what was shown has changed meanwhile', async () => {
    let count = 2n;
    const asked: CleanupRequest[] = [];
    const cleanup: handleUnaryCall<CleanupRequest, object> = ({ request }, answer) => {
      asked.push(request);
      answer(null, { deletedCount: count, filenames: ['a.png'], dryRun: request.dryRun });
    };
    await using older = await startScripted({ cleanup });
    const meanwhile = async () => {
      count = 3n;
      return 'yes\n';
    };
    const criteria = ['cleanup', '--keep-count', '1'];
    const { stdout } = await runInTerminal(criteria, [meanwhile, async () => 'yes\n'], older.address);
    expect(stdout.match(/would delete \d|changed meanwhile|deleted \d/g)).toEqual([
      ...['would delete 2', 'changed meanwhile', 'would delete 3', 'deleted 3'],
    ]);
    expect(asked.at(-1)).toMatchObject({ keepCount: 1, maxDeletes: 3, dryRun: false });
    expect(asked.every(({ selection }) => !selection)).toBe(true);
  });

  it('plans again when the plan has expired while it asked', async () => {
    let isExpired = true;
    const cleanup: handleUnaryCall<CleanupRequest, object> = ({ request }, answer) => {
      if (!request.dryRun && isExpired) {
        isExpired = false;
        return answer(refusal(status.FAILED_PRECONDITION, 'PLAN_EXPIRED') as ServiceError);
      }
      answer(null, { deletedCount: 2n, dryRun: request.dryRun, plan: Buffer.from('a plan') });
    };
    await using scripted = await startScripted({ cleanup });
    const yes = async () => 'yes\n';
    const { stdout, exitCode } = await runInTerminal(['cleanup', '--query', 'fox'], [yes, yes], scripted.address);
    expect(stdout.match(/changed meanwhile|deleted \d/g)).toEqual(['changed meanwhile', 'deleted 2']);
    expect(exitCode).toBe(EXIT.OK);
    isExpired = true;
    const told = await run(['cleanup', '--query', 'fox', '--yes'], { address: scripted.address });
    expect([told.exitCode, told.stderr]).toEqual([EXIT.NEGATIVE, expect.stringContaining('PLAN_EXPIRED')]);
  });
});

describe('what cannot be seen or drives a terminal', () => {
  const evil = '\x1b[2J\x9b31m\u202egnp\u2028\u200b\nimage-storage: all is well';
  const shown = String.raw`\u001b[2J\u009b31m\u202egnp\u2028\u200b\u000aimage-storage: all is well`;

  it.each([
    ['an unknown command', [evil]],
    ['an unknown option', ['list', `--${evil}`]],
    ['too many arguments', ['stats', evil, 'b']],
    ['a value that is no time', ['list', '--since', evil]],
    ['a value that is no address', ['stats', '--address', evil]],
    ['a file that is not there', ['config', 'check', '--config', `/nowhere/${evil}`]],
    ['a folder that is none', ['mcp', '--allow-dir', `/nowhere/${evil}`]],
    ['a provider that is not configured', ['doctor', '--provider', evil]],
  ])('is escaped in the error about %s', (_, command) => {
    const { stderr, stdout, status } = spawnSync(process.execPath, [COMMAND, ...command], {
      encoding: 'utf8',
      cwd: folder,
    });
    expect(status).not.toBe(0);
    expect(stdout).toBe('');
    expect(stderr).toContain(shown);
    expect(stderr).toMatch(/^[^\p{Cc}\p{Cf}\p{Zl}]+\n$/u);
  });

  it('leaves a suggestion on its line', () => {
    const { stderr } = spawnSync(process.execPath, [COMMAND, 'list', '--modle', 'x'], { encoding: 'utf8' });
    expect(stderr).toBe("image-storage: unknown option '--modle'\n(Did you mean --model?)\n");
  });

  it('is escaped by --json, and stays the same value', async () => {
    const prompt = evil.replace('\n', ' ');
    await saved(40, { model: 'unseen', prompt });
    const { stdout } = await run(['list', '--model', 'unseen', '--json']);
    expect(stdout).toMatch(/^[^\p{Cc}\p{Cf}\p{Zl}]+\n$/u);
    expect(JSON.parse(stdout).prompt).toBe(prompt);
  });
});

it('names the providers that there are in place of one that there is not', async () => {
  const { stderr, exitCode } = await run(['list', '--provider', 'archive']);
  expect(stderr).toBe('image-storage: no provider of that name\nproviders: local\n');
  expect(exitCode).toBe(EXIT.USAGE);
  await imageFile('astray.png');
  const { stderr: ofSave } = await run(['save', 'astray.png', '--provider', 'archive']);
  expect(ofSave).toBe('image-storage: astray.png: no provider of that name\nproviders: local\n');
});

describe('health', () => {
  it('asks the daemon that the environment names', async () => {
    const env = { ...process.env, IMAGE_STORAGE_ADDRESS: `unix:${daemon.socket}` };
    const child = spawn(process.execPath, [COMMAND, 'health'], { env });
    expect(await text(child.stdout)).toBe('serving\n');
  });

  it('names the variable that holds no address', () => {
    const env = { ...process.env, IMAGE_STORAGE_ADDRESS: 'http://localhost' };
    const { status, stderr } = spawnSync(process.execPath, [COMMAND, 'health'], { env, encoding: 'utf8' });
    const forms = 'host:port, [v6]:port or unix:PATH, or https://host:port for TLS';
    const problem = `IMAGE_STORAGE_ADDRESS: "http://localhost" is no address: ${forms}`;
    expect([status, stderr]).toEqual([EXIT.CONFIG, `image-storage: ${problem}\n`]);
  });

  it('is 0 when the daemon serves, else 1', async () => {
    expect(await run(['health'])).toMatchObject({ exitCode: EXIT.OK, stdout: 'serving\n' });
    expect(await run(['health', '--timeout', '1'], { address: '127.0.0.1:1' })).toMatchObject({
      exitCode: EXIT.NEGATIVE,
    });
  });
});

it('stats shows a table for each way to count', async () => {
  await saved(9, { model: 'counted', timestamp: new Date('2003-04-05') });
  const { stdout } = await run(['stats']);
  expect(stdout).toMatch(/^local \(local\): \d+ images?, /m);
  expect(stdout).toMatch(/^MODEL +IMAGES +SIZE$/m);
  expect(stdout).toMatch(/^\(none\) +\d+ +\d+ k?B$/m);
  expect(stdout).toMatch(/^2003-04 +1 +\d+ B$/m);
});

describe('stats of what matches', () => {
  it('shows the groups, then the total', async () => {
    for (const day of [1, 31]) await saved(20 + day, { model: 'grouped', timestamp: new Date(Date.UTC(2004, 2, day)) });
    const { stdout } = await run(['stats', '--by', 'month', '--time-zone', 'Pacific/Auckland', '--model', 'grouped']);
    const [title, ...rows] = stdout.trimEnd().split('\n');
    expect(title).toMatch(/^MONTH \(Pacific\/Auckland\) +IMAGES +SIZE$/);
    expect(rows.map((row) => row.replace(/ +\d+ B/, ''))).toEqual([
      expect.stringMatching(/^2004-03 +2$/),
      '2 images,, 2004-03-01 00:00:00 to 2004-03-31 00:00:00',
    ]);
    const [counted] = await runJson(['stats', '--by', 'model', '--until', '2004-03-30', '--model', 'grouped']);
    expect(counted).toMatchObject({ count: 1, groups: [{ name: 'grouped', count: 1 }], more: false });
    const [completed] = await runJson(['stats', '--by', 'model', '--starts-with', 'GROUPE']);
    expect(completed.groups).toMatchObject([{ name: 'grouped', count: 2, rest: false }]);
  });

  it('refuses flags of groups where there are none', async () => {
    const message = 'image-storage: --starts-with, --time-zone and --limit are for the groups of --by\n';
    for (const flags of [
      ['--starts-with', 'fox'],
      ['--time-zone', 'Europe/Berlin', '--query', 'fox'],
      ['--limit', '5'],
    ]) {
      expect(await run(['stats', ...flags])).toMatchObject({
        exitCode: EXIT.USAGE,
        stderr: expect.stringContaining(message),
      });
    }
  });

  it('says that an older daemon cannot', async () => {
    const stats: handleUnaryCall<object, object> = (_, answer) => answer(null, { providers: [{ provider: 'local' }] });
    await using older = await startScripted({ stats });
    const message = 'image-storage: this daemon is older: it counts only whole providers\n';
    const asked = run(['stats', '--by', 'tag'], { address: older.address });
    expect(await asked).toMatchObject({ exitCode: EXIT.NEGATIVE, stdout: '', stderr: message });
    expect((await run(['stats'], { address: older.address })).stdout).toMatch(/^local \(\): 0 images/);
  });
});

it.each([
  { given: [], isLeft: true },
  { given: ['--prompt', 'an owl', '--model', 'flux'], isLeft: true },
  { given: ['--prompt', 'an owl', '--model', 'flux', '--param', 'seed=1'], isLeft: false },
])('says what an older daemon leaves in the file, beside $given', async ({ given, isLeft }) => {
  const save: handleClientStreamingCall<SaveRequest, object> = async (call, answer) => {
    const [{ payload }] = (await call.toArray()) as [SaveRequest];
    const metadata = payload.case === 'header' ? payload.value.metadata : undefined;
    answer(null, { image: { filename: 'fox.png', metadata } });
  };
  await using older = await startScripted({ save });
  const parameters = 'a fox\nSteps: 20, Seed: 1, Model: dreamshaper_8';
  await writeFile(join(folder, 'told.png'), pngOf({ width: 8, height: 8, text: { parameters } }));
  const { exitCode, stderr } = await run(['save', 'told.png', ...given], { address: older.address });
  expect(exitCode).toBe(EXIT.OK);
  expect(stderr).toBe(
    isLeft
      ? 'image-storage: told.png: what its generator left in it stays in the file only: this daemon is older and does ' +
          'not read it; `import` reads it itself\n'
      : '',
  );
});

it('what finds nothing says which models, categories and tags there are', async () => {
  await saved(30, { model: 'dreamshaper_8', category: 'portraits', tags: ['hinted'] });
  const [models, tags] = ['models like it: dreamshaper_8\n', 'tags like it: hinted\n'];
  const listed = await run(['list', '--model', 'dreamshaper', '--tag', 'hintd']);
  expect(listed).toMatchObject({ exitCode: EXIT.OK, stdout: '', stderr: `no images\n${models}${tags}` });
  expect((await run(['stats', '--model', 'Dreamshapper8'])).stderr).toBe(models);
  const cleaned = await run(['cleanup', '--keep-count', '1', '--category', 'portrait', '--dry-run']);
  expect(cleaned).toMatchObject({ stdout: 'nothing would go\n', stderr: 'categories like it: portraits\n' });
});

/** Behind a pseudo-terminal of util-linux's `script`, whose output is both stdout and stderr; one answer a question. */
async function runInTerminal(command: string[], answers: (() => Promise<string>)[], address = daemon.address) {
  const line = [process.execPath, COMMAND, ...command, '--address', address].map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['-qec', line, '/dev/null'], { cwd: folder });
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve));
  let stdout = '';
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    stdout += chunk;
    if (chunk.includes('[y/N] ')) child.stdin.write((await answers.shift()?.()) ?? '');
  }
  return { stdout, exitCode: await exited };
}

/** Saves an image by the client: what a command is tried on need not come by a command. */
async function saved(seed: number, metadata: ImageMetadata, options?: SaveOptions): Promise<string> {
  const { filename } = await client.save(pngOf({ width: 8, height: 6, seed }), metadata, options);
  return filename;
}

async function saveThree(model: string): Promise<void> {
  for (const day of [1, 2, 3]) await saved(10 + day, { model, timestamp: new Date(Date.UTC(2002, 0, day)) });
}

/** The days of the images of a model, newest first. */
async function daysOf(model: string): Promise<string[]> {
  const days: string[] = [];
  for await (const { metadata } of client.list({ model })) days.push(metadata.timestamp.toISOString().slice(0, 10));
  return days;
}
