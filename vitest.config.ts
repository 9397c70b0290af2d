/** How the tests run and how much of the storage library they must reach. */
import { defineConfig } from 'vitest/config';
import { countReporter } from './test/support/count-reporter.ts';
import { LongestFirst } from './test/support/longest-first.ts';

/** Spend most of their time waiting for processes, disks and timers. */
const WAITING = [
  'test/bucket/{s3-each-fault,s3-faults,shared-bucket,verify}.test.ts',
  'test/catalog/rebuild.test.ts',
  'test/cli/{cli,import,main-job,maintenance-cli}.test.ts',
  'test/client/client.test.ts',
  'test/crash/{crash,kill,s3-kill}.test.ts',
  'test/doctor/bucket.test.ts',
  'test/examples/examples-python.test.ts',
  'test/maintenance/{copy,copy-many,verify}.test.ts',
  'test/mcp/mcp.test.ts',
  'test/providers/optional-provider.test.ts',
  'test/rpc/*.test.ts',
  'test/s3/s3-storage.test.ts',
];
/** Mount file systems, make files immutable, or build with what the user who runs the tests has installed. */
const PRIVILEGED = [
  'test/crash/{disk-full,io-errors,power-cut}.test.ts',
  'test/doctor/doctor.test.ts',
  'test/examples/examples.test.ts',
  'test/interop/interop.test.ts',
  'test/maintenance/copy-stopped.test.ts',
  'test/release/*.test.ts',
];
/** Measure the memory of a daemon, or how soon it does something. */
const ALONE = ['test/rpc/{bounds,daemon}.test.ts'];

/** Where most wait, more of them than there are processors. */
const MANY = 5;

const COMPILE_CACHE = 'test/support/compile-cache.ts';
const ordinary = { setupFiles: ['test/support/ordinary-user.ts', COMPILE_CACHE] };
const prepared = { globalSetup: ['test/support/global-setup.ts', 'test/support/tools.ts'] };

export default defineConfig({
  test: {
    // Real daemons, disks and kills: a limit is for what hangs, not for what is slow.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
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
          ...prepared,
          maxWorkers: MANY,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'privileged',
          include: PRIVILEGED,
          setupFiles: [COMPILE_CACHE],
          ...prepared,
          maxWorkers: MANY,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'computing',
          include: ['test/**/*.test.ts'],
          // The clients are checked by `npm run check:clients`.
          exclude: [...WAITING, ...PRIVILEGED, ...ALONE, 'test/clients/**'],
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
          ...prepared,
          maxWorkers: 1,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
