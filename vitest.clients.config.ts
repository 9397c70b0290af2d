/** How the checks of the clients run: their formatters, linters, generators and own suites, against daemons of this checkout. */
import { defineConfig } from 'vitest/config';
import { countReporter } from './test/support/count-reporter.ts';

export default defineConfig({
  test: {
    include: ['test/clients/**/*.test.ts'],
    setupFiles: ['test/support/compile-cache.ts'],
    // Compilers with cold caches.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default', countReporter],
  },
});
