/** How the tests run and how much of the storage library they must reach. */
import { globSync, readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { countReporter } from './test/support/count-reporter.ts';
import { LongestFirst } from './test/support/longest-first.ts';

/** Spend most of their time waiting for processes, disks and timers. */
const WAITING = [
  'test/bucket/{s3-answers,s3-each-fault,s3-faults,shared-bucket,verify}.test.ts',
  'test/catalog/rebuild.test.ts',
  'test/cli/{checkout,cli,import,maintenance-cli}.test.ts',
  'test/client/client.test.ts',
  'test/crash/{crash,kill,mixed-store,s3-kill}.test.ts',
  'test/doctor/bucket.test.ts',
  'test/local/trash.test.ts',
  'test/maintenance/{copy,copy-many,copy-refusals,verify}.test.ts',
  'test/providers/{life-model,optional-provider}.test.ts',
  'test/retention/policies.test.ts',
  'test/rpc/*.test.ts',
  'test/s3/s3-storage.test.ts',
];
/** Mount file systems, make files immutable, or use what is installed for the user who runs the tests, as imports tell. */
const PRIVILEGED = [
  'test/examples/*.test.ts',
  'test/deploy/*.test.ts',
  'test/release/*.test.ts',
  ...globSync('test/**/*.test.ts').filter((path) =>
    /'\.\.?\/(support\/(mounts|python)|languages)\.ts'/.test(readFileSync(path, 'utf8')),
  ),
];
/** Measure the memory of a daemon, or how soon it does something. */
const ALONE = ['test/attack/*.test.ts', 'test/rpc/{bounds,killed-client}.test.ts'];

/** Run by `npm run check:clients`. */
const CLIENTS = ['test/clients/**'];

/** Where most wait, more of them than there are processors. */
const MANY = 5;

const QUICK_STARTS = ['test/support/compile-cache.ts', 'test/support/store-threads.ts', 'test/support/previews.ts'];
const ordinary = { setupFiles: ['test/support/ordinary-user.ts', ...QUICK_STARTS] };
const withS3 = { globalSetup: ['test/support/global-setup.ts', 'test/support/s3-server.ts'] };

export default defineConfig({
  test: {
    // Real daemons, disks and kills: a limit is for what hangs, not for what is slow.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    expect: { requireAssertions: true },
    sequence: { sequencer: LongestFirst },
    reporters: ['default', countReporter],
    coverage: {
      provider: 'v8',
      include: ['src/storage/**/*.ts'],
      // Runs in a worker thread, which v8 coverage does not see; the SQL it calls is tested in the tests' own thread.
      exclude: ['src/storage/catalog/sqlite/worker.ts'],
      reporter: [['text', { skipFull: true }]],
      thresholds: { lines: 90 },
    },
    projects: [
      {
        test: {
          name: 'waiting',
          include: WAITING,
          exclude: ALONE,
          ...ordinary,
          ...withS3,
          maxWorkers: MANY,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'privileged',
          include: PRIVILEGED,
          exclude: CLIENTS,
          setupFiles: QUICK_STARTS,
          ...withS3,
          maxWorkers: MANY,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'computing',
          include: ['test/**/*.test.ts'],
          exclude: [...WAITING, ...PRIVILEGED, ...ALONE, ...CLIENTS],
          ...ordinary,
          globalSetup: ['test/support/global-setup.ts'],
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'alone',
          include: ALONE,
          ...ordinary,
          ...withS3,
          maxWorkers: 1,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
