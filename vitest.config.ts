/** How the tests run and how much of the storage library they must reach. */
import { configDefaults, defineConfig } from 'vitest/config';
import { countReporter } from './test/support/count-reporter.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // By `npm run check:clients`.
    exclude: [...configDefaults.exclude, 'test/clients/**'],
    setupFiles: ['test/support/compile-cache.ts'],
    // Real daemons, disks and kills: a limit is for what hangs, not for what is slow.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default', countReporter],
    coverage: {
      provider: 'v8',
      include: ['src/storage/**/*.ts'],
      // Runs in a worker thread, which v8 coverage does not see; the SQL it calls is tested in the tests' own thread.
      exclude: ['src/storage/catalog/sqlite/worker.ts'],
      reporter: [['text', { skipFull: true }]],
      thresholds: { lines: 90 },
    },
  },
});
