/** How the tests run and how much of the storage library they must reach. */
import { globSync, readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { countReporter } from './test/support/count-reporter.ts';
import { LongestFirst } from './test/support/longest-first.ts';

// One seed for the whole run, which the tests print; set it to repeat one.
process.env.TEST_SEED ??= String(Math.floor(Math.random() * 2 ** 32));

/** Mount file systems, make files immutable, or use what is installed for the user who runs the tests, as imports tell. */
const PRIVILEGED = [
  'test/examples/*.test.ts',
  'test/deploy/*.test.ts',
  'test/release/*.test.ts',
  ...globSync('test/**/*.test.ts').filter((path) =>
    /'\.\.?\/(support\/(mounts|python)|languages)\.ts'/.test(readFileSync(path, 'utf8')),
  ),
];
/** Change or count what a process has one of, or draw the numbers of `load.ts`, which a run with their seed has to repeat. */
const ISOLATED = [
  'test/crash/{crash,kill,s3-kill}.test.ts',
  'test/deploy/fleet.test.ts',
  'test/embedded/{fuzz,interpreter}.test.ts',
  'test/formats/png-check.test.ts',
  'test/maintenance/verify.test.ts',
  'test/providers/sample-provider.test.ts',
];
/** Measure the memory of a daemon, or how soon it does something. */
const ALONE = ['test/attack/*.test.ts', 'test/client/unreachable.test.ts', 'test/rpc/{bounds,killed-client}.test.ts'];

/** Run by `npm run check:clients`. */
const CLIENTS = ['test/clients/**'];

/** Run by `npm run check:page`; a first look at it is tried in every run. */
const PAGE = ['test/gallery/{charts,compare,cull,live,other-pages,page,people,rows,undo,upload}.test.ts'];

/** Run by `npm run check:fleet`; one daemon of a bucket, both indexes and a deployed fleet are tried in every run. */
const FLEET = ['test/bucket/{comparison,fleet,outages,postgres,roll-call,shared-bucket}.test.ts'];

/** Most of them wait, for processes, disks and timers: more than there are processors. */
const MANY = 6;

const QUICK_STARTS = [
  'test/support/equal-bytes.ts',
  'test/support/compile-cache.ts',
  'test/support/store-threads.ts',
  'test/support/previews.ts',
];
const ordinary = { setupFiles: ['test/support/ordinary-user.ts', ...QUICK_STARTS] };
const inMemory = { setupFiles: [...ordinary.setupFiles, 'test/support/temporary-folders.ts'] };
const withS3 = { globalSetup: ['test/support/s3-server.ts'] };

export default defineConfig({
  test: {
    // Real daemons, disks and kills: a limit is for what hangs, not for what is slow.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    expect: { requireAssertions: true, poll: { timeout: 60_000 } },
    sequence: { sequencer: LongestFirst },
    globalSetup: ['test/support/global-setup.ts'],
    reporters: ['default', countReporter],
    coverage: {
      provider: 'custom',
      customProviderModule: './test/support/coverage.ts',
      include: ['src/storage/**/*.ts'],
      // Runs in a worker thread, which v8 coverage does not see; the SQL it calls is tested in the tests' own thread.
      exclude: ['src/storage/catalog/sqlite/worker.ts'],
      reporter: [['text', { skipFull: true }]],
      thresholds: { lines: 90 },
    },
    projects: [
      {
        test: {
          name: 'shared',
          include: ['test/**/*.test.ts'],
          exclude: [...ISOLATED, ...PRIVILEGED, ...ALONE, ...CLIENTS, ...PAGE, ...FLEET],
          ...inMemory,
          ...withS3,
          isolate: false,
          maxWorkers: MANY,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'isolated',
          include: ISOLATED,
          ...inMemory,
          ...withS3,
          maxWorkers: MANY,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'privileged',
          include: PRIVILEGED,
          exclude: [...CLIENTS, ...ISOLATED],
          setupFiles: QUICK_STARTS,
          ...withS3,
          isolate: false,
          maxWorkers: MANY,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'page',
          include: PAGE,
          ...inMemory,
          isolate: false,
          maxWorkers: MANY,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'fleet',
          include: FLEET,
          ...inMemory,
          ...withS3,
          maxWorkers: MANY,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'alone',
          include: ALONE,
          ...ordinary,
          ...withS3,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
