/** The TypeScript and Go examples against real stores: what they generate is found there, with what made it. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createStorage, type StorageConfig } from '../../src/storage/index.ts';
import { startCuttingProxy } from '../support/cutting-proxy.ts';
import { examples, imagesIn, jsonLines, MAX_SEED, parseJsonLines, run } from '../support/examples.ts';
import { requires } from '../support/requires.ts';
import { runDaemon } from '../support/running-daemon.ts';
import { full } from '../support/scale.ts';
import { type S3Server, startVersitygw, versitygwAvailable } from '../support/versitygw.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-storage-examples-'));
});
afterAll(() => rm(folder, { recursive: true }));

it.runIf(full)('the demo ends with what it has shown, and keeps the images', { timeout: 600_000 }, async () => {
  const printed = await run(process.execPath, [join(examples, 'demo/demo.ts')], {
    cwd: folder,
    env: { TMPDIR: folder },
  });
  const [kept, , place] = printed.trimEnd().split('\n').slice(-3);
  expect(kept).toMatch(/^Of ImageStorage, all \d+ saves that were answered are there, whole, and nothing is torn\.$/);
  const [, outputs] = /^The images stay in (\S+); to look at them: npm start -- --base-path \1$/.exec(place!)!;
  const storage = await createStorage({ providers: { local: { basePath: outputs! } } });
  expect(await storage.list()).not.toEqual([]);
  await storage.close();
});

describe('image-service', () => {
  const service = join(examples, 'image-service');
  const configIn = async (name: string) => JSON.parse(await readFile(join(service, name), 'utf8'));
  /** Runs it in a folder of its own; `made` is what must be found of it. */
  const generate = async (config: unknown) => {
    const cwd = await mkdtemp(join(folder, 'service-'));
    await writeFile(join(cwd, 'config.json'), JSON.stringify(config));
    const prompts = ['a red fox', 'a snowy owl'];
    const printed = await run(process.execPath, [join(service, 'main.ts'), 'config.json', ...prompts], { cwd });
    const seeds = [...printed.matchAll(/seed (\d+)$/gm)].map(([, seed]) => seed);
    const made = prompts.map((prompt, index) =>
      expect.objectContaining({ prompt, model: 'soft-light', parametersJson: `{"seed":${seeds[index]}}` }),
    );
    return { cwd, made };
  };
  const metadataIn = async (config: StorageConfig) => {
    const storage = await createStorage(config);
    const images = await storage.list({ order: 'oldest' });
    await storage.close();
    return images.map(({ metadata }) => metadata);
  };

  it('keeps images in a folder', async () => {
    const { cwd, made } = await generate(await configIn('local.json'));
    const found = await metadataIn({ providers: { local: { basePath: join(cwd, 'outputs') } } });
    expect(found).toEqual(made);
  });

  it('keeps images in a daemon', async () => {
    await using daemon = await runDaemon();
    const { made } = await generate({ ...(await configIn('daemon.json')), daemon: daemon.address });
    expect((await imagesIn(daemon)).map(({ metadata }) => metadata)).toEqual(made);
  });

  requires('Go, which builds versitygw', versitygwAvailable)('with S3', () => {
    let server: S3Server;
    beforeAll(async () => {
      server = await startVersitygw();
    }, 600_000);
    afterAll(() => server.stop());

    it('keeps images in a bucket', async () => {
      const { storage } = await configIn('s3.json');
      const s3 = { ...storage.providers.s3, ...server.settings, bucket: await server.createBucket() };
      const { cwd, made } = await generate({ storage: { providers: { s3 } } });
      const found = await metadataIn({ providers: { s3: { ...s3, stateDir: join(cwd, 'outputs/metadata') } } });
      expect(found).toEqual(made);
    });
  });
});

const worker = join(examples, 'go-worker');
const go = spawnSync('go', ['mod', 'download'], { cwd: worker, stdio: 'ignore' }).status === 0;

requires('Go 1.26 and the modules of examples/go-worker', go)('go-worker', () => {
  const JOB = { created: '2024-09-27T14:15:22Z', prompt: 'a red fox', seed: JSON.rawJSON(MAX_SEED), side: 64 };
  let binary: string;
  beforeAll(async () => {
    binary = join(folder, 'go-worker');
    await run('go', ['build', '-o', binary, '.'], { cwd: worker });
  }, 600_000);

  const work = async (address: string, jobs: object[]) =>
    parseJsonLines(await run(binary, ['-address', address], { cwd: folder, input: jsonLines(jobs) }));

  it('keeps one image a job, also where the answer was lost or the job comes again', async () => {
    await using daemon = await runDaemon();
    await using proxy = await startCuttingProxy(daemon.address, [{ atAnswer: 'break' }]);
    const [first] = await work(proxy.address, [{ id: 'job-1', ...JOB }]);
    expect(first.replayed).toBe(true);
    const results = await work(daemon.address, [
      { id: 'job-1', ...JOB },
      { id: 'job-2', ...JOB, prompt: 'a snowy owl' },
    ]);
    expect(results).toContainEqual(first);
    const images = await imagesIn(daemon);
    expect(images.map(({ metadata }) => metadata.prompt).sort()).toEqual(['a red fox', 'a snowy owl']);
    for (const { metadata, width } of images) {
      expect(metadata).toMatchObject({ model: 'gradient', parametersJson: `{"seed":${MAX_SEED},"side":64}` });
      expect([width, metadata.timestamp]).toEqual([64, new Date(JOB.created)]);
    }
  });

  it('tells which job failed, goes on with the others, and ends with an error', async () => {
    await using daemon = await runDaemon();
    const jobs = [{ id: 'job-1', ...JOB, side: 0 }, { ...JOB }, { id: 'job-3', ...JOB }];
    const failure = await work(daemon.address, jobs).catch((error: unknown) => error);
    const { code, stdout } = failure as { code: number; stdout: string };
    const errors = Object.fromEntries(parseJsonLines(stdout).map(({ id, error }) => [id, error]));
    expect(errors).toEqual({
      'job-1': 'side is 1 to 4096 pixels',
      '': 'a job has an id and the time it was created',
      'job-3': undefined,
    });
    expect([code, await imagesIn(daemon)]).toEqual([1, [expect.anything()]]);
  });

  it('does not pass over all jobs with nobody to work on them', async () => {
    const idle = run(binary, ['-parallel', '0'], { cwd: folder, input: jsonLines([{ id: 'job-1', ...JOB }]) });
    await expect(idle).rejects.toMatchObject({ code: 1 });
  });

  it('keeps what is under way when it is told to stop', async () => {
    await using daemon = await runDaemon();
    const running = spawn(binary, ['-address', daemon.address], { stdio: ['pipe', 'pipe', 'inherit'] });
    const [exit, printed] = [once(running, 'exit'), text(running.stdout)];
    running.stdin.write(jsonLines(Array.from({ length: 50 }, (_, index) => ({ ...JOB, id: `job-${index}` }))));
    await once(running.stdout, 'data');
    running.kill('SIGTERM');
    expect(await exit).toEqual([0, null]);
    const answered = parseJsonLines(await printed).map(({ filename }) => filename);
    expect(answered.sort()).toEqual((await imagesIn(daemon)).map(({ filename }) => filename).sort());
  });
});
