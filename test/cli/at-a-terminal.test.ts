/** What people see who stand at a terminal of 60 to 140 columns: nothing wraps, and names are short. */
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { connect, type ImageMetadata, type ImageStorageClient, type SavedImage } from '../../src/client.ts';
import { EXIT } from '../../src/exit-codes.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';
import { hasScript, runInTerminal as run, type TerminalOptions, widestOf } from '../support/terminal.ts';

const WIDTHS = [60, 80, 100, 140];
const PROMPT = `${'a red fox in the snow at dawn, 狐と雪 '.repeat(8)}the end`;
const MODEL = 'black-forest-labs/FLUX.1 [dev] of a very long name';
const WORKFLOW = '{"nodes":[{"type":"KSampler"}],"links":[]}';
const PARAMETERS = `{"seed":18446744073709551615,"steps":28,"cfg":3.5,"sampler":"euler","negative_prompt":"blurry","workflow":${WORKFLOW}}`;

let folder: string;
let daemon: RunningDaemon;
let client: ImageStorageClient;
let fox: SavedImage;
let gone: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-terminal-'));
  daemon = await runDaemon();
  client = connect(daemon.address);
  fox = await save(1, { prompt: PROMPT, model: MODEL, parametersJson: PARAMETERS, tags: ['winter'], category: 'real' });
  for (let seed = 2; seed < 40; seed += 1) {
    const timestamp = new Date(Date.UTC(2024, 0, 1 + seed * 2));
    await save(seed, { prompt: seed % 2 ? PROMPT : '', model: `model-${seed % 15}`, timestamp });
  }
  gone = (await save(40, { prompt: PROMPT, model: MODEL })).filename;
  await client.delete(gone);
});

afterAll(async () => {
  client.close();
  await daemon.close();
  await rm(folder, { recursive: true });
});

function save(seed: number, metadata: ImageMetadata): Promise<SavedImage> {
  return client.save(pngOf({ width: 8, height: 6, seed }), metadata);
}

function runInTerminal(commands: string[][], options: Partial<TerminalOptions> = {}) {
  const env = { IMAGE_STORAGE_ADDRESS: daemon.address, ...options.env };
  return run(commands, { cwd: folder, ...options, env });
}

const idOf = (filename: string) => /_([0-9a-z]{6})\.png$/.exec(filename)![1]!;
const atATerminal = requires('script, of util-linux', hasScript);

atATerminal('tables', () => {
  it.each(WIDTHS)('fit %i columns, name short ids, and leave the room to the prompt', async (columns) => {
    const tables = [
      ['list'],
      ['list', '--provider', '*', '--limit', '3'],
      ['trash'],
      ['stats'],
      ['stats', '--by', 'day'],
    ];
    const { output, exitCode } = await runInTerminal(tables, { columns });
    expect(exitCode).toBe(EXIT.OK);
    expect(output.split('\n').filter((line) => widestOf(line) > columns)).toEqual([]);
    expect(widestOf(output)).toBeGreaterThan(columns - 2);
    expect(output).toContain(idOf(fox.filename));
    expect(output).not.toContain(fox.filename);
    const titles = /^TIME.*$/m.exec(output)![0];
    expect({ size: titles.includes('SIZE'), pixels: titles.includes('PIXELS') }).toEqual({
      size: columns >= 100,
      pixels: columns >= 120,
    });
    const lines = output.split('\n');
    const row = lines.findIndex((line) => line.includes(idOf(fox.filename)));
    const prompt = columns < 80 ? lines[row + 1]! : lines[row]!.slice(titles.indexOf('PROMPT'));
    expect(prompt.trim().length).toBeGreaterThan(columns < 80 ? 45 : columns / 4);
  });
});

atATerminal('stats', () => {
  it('ends in the sum, after ten models, fourteen days as bars and the months', async () => {
    const { output } = await runInTerminal([['stats']]);
    const [models, , days, months, sums] = output.trimEnd().split('\n\n');
    expect(models!.split('\n')).toHaveLength(1 + 10 + 1);
    expect(models).toMatch(/^\(all others\) +\d+ /m);
    expect(
      days!
        .split('\n')
        .slice(1)
        .every((line) => /^\d{4}-\d\d-\d\d +\d+ +\d+ B +█+$/.test(line)),
    ).toBe(true);
    expect(days!.split('\n')).toHaveLength(1 + 14);
    expect(months).toMatch(/^2024-02 +14 +/m);
    expect(sums).toMatch(/^local \(local\): 39 images, .*\n.*free of .*\nin the trash: 1 image, .*$/);
  });
});

atATerminal('show', () => {
  it('prints lines by a short id, and the workflow', async () => {
    const [id, beginning] = [idOf(fox.filename), fox.filename.slice(0, -5)];
    const commands = [
      ['show', id],
      ['show', '--workflow', beginning],
    ];
    const { output, exitCode } = await runInTerminal(commands, { columns: 60 });
    expect(exitCode).toBe(EXIT.OK);
    for (const line of [
      `filename   ${fox.filename}`,
      'negative   blurry',
      'seed       18446744073709551615',
      'settings   28 steps, cfg 3.5, euler',
      'tags       winter',
      `path       ${fox.path}`,
    ]) {
      expect(output).toContain(`${line}\n`);
    }
    expect(output.replace(/\n +/g, ' ')).toContain(`prompt     ${PROMPT}\n`);
    expect(output).toContain(`${WORKFLOW}\n`);
    const [, prompt] = /^(prompt.*?)^negative/ms.exec(output)!;
    expect(widestOf(prompt!)).toBeLessThanOrEqual(60);
  });

  it('says which images a beginning may be, and that there is none', async () => {
    const two = await save(50, { model: 'twin', timestamp: new Date('2023-01-02T03:04:05Z') });
    await save(51, { model: 'twin', timestamp: new Date('2023-01-02T03:04:06Z') });
    const { output, exitCode } = await runInTerminal([['show', '20230102']], { columns: 140 });
    expect(output).toContain(`20230102 may be any of `);
    expect(output).toContain(two.filename);
    expect(exitCode).toBe(EXIT.USAGE);
    const none = await runInTerminal(
      [
        ['show', gone],
        ['show', 'zzzzzz'],
      ],
      { columns: 200 },
    );
    expect(none).toEqual({
      output:
        `image-storage: ${gone}: no such image; it is in the trash: image-storage restore ${gone} brings it back\n` +
        'image-storage: zzzzzz: no such image; image-storage list shows what there is\n',
      exitCode: EXIT.NEGATIVE,
    });
  });
});

atATerminal('open', () => {
  it('opens the page of an image in the browser, or its file', async () => {
    const opened = join(folder, 'opened');
    await writeFile(join(folder, 'xdg-open'), `#!/bin/sh\nprintf '%s\\n' "$1" >> '${opened}'\n`);
    await chmod(join(folder, 'xdg-open'), 0o755);
    const env = { PATH: `${folder}${delimiter}${process.env.PATH}` };
    const id = idOf(fox.filename);
    const { output, exitCode } = await runInTerminal(
      [
        ['open', id],
        ['open', '--provider', 'local', id],
        ['open', '--file', id],
      ],
      { env },
    );
    const page = `http://${daemon.address}/i/${fox.filename}`;
    expect({ output, exitCode }).toEqual({
      output: `${page}\n${page}?provider=local\n${fox.path}\n`,
      exitCode: EXIT.OK,
    });
    await vi.waitFor(async () => {
      const lines = (await readFile(opened, 'utf8')).trim().split('\n');
      expect(lines.sort()).toEqual([page, `${page}?provider=local`, fox.path].sort());
    });
  });
});

atATerminal('get', () => {
  it('writes no picture into a terminal, and takes a short id', async () => {
    const id = idOf(fox.filename);
    const { output, exitCode } = await runInTerminal([['get', '-o', '-', id]]);
    expect(output).toBe('image-storage: a terminal shows no image: name a file after -o\n');
    expect(exitCode).toBe(EXIT.USAGE);
    expect((await runInTerminal([['get', id]])).output).toContain(`./${fox.filename}`);
    expect(await readFile(join(folder, fox.filename))).toEqual(pngOf({ width: 8, height: 6, seed: 1 }));
  });
});

atATerminal('a question', () => {
  it.each([
    ['Ctrl-C', '\x03'],
    ['Ctrl-D', '\x04'],
  ])('that is answered by %s leaves everything as it is', async (_, key) => {
    const commands = [
      ['cleanup', '--keep-count', '0'],
      ['trash', 'purge', idOf(gone)],
    ];
    const { output, exitCode } = await runInTerminal(commands, { answers: [() => key, () => key] });
    expect(output.match(/\[y\/N\] .*\n+image-storage: nothing was deleted\n/g)).toHaveLength(2);
    expect(exitCode).toBe(EXIT.INTERRUPTED);
  });
});

atATerminal('short ids', () => {
  it('name what is deleted, brought back, pinned and tagged', async () => {
    const { filename } = await save(60, { model: 'short' });
    const id = idOf(filename);
    const commands = [
      ['pin', id],
      ['tag', id, '+kept'],
      ['delete', id],
      ['restore', id],
    ];
    const { output } = await runInTerminal(commands, { columns: 200 });
    expect(output.split('\n').map((line) => line.replace(/;.*/, ''))).toEqual([
      `pinned ${filename}`,
      `${filename}: kept`,
      `deleted ${filename}`,
      `restored ${filename}`,
      '',
    ]);
  });
});
