/** Bundles what the tests start in processes and threads of their own: all that ships, and what stores run in there. */
import { fileURLToPath } from 'node:url';
import { defineConfig, type UserConfig } from 'tsdown';
import shipped from '../../tsdown.config.ts';

const { entry, ...options } = shipped as UserConfig;

export default defineConfig({
  ...options,
  cwd: fileURLToPath(new URL('../..', import.meta.url)),
  entry: {
    ...(entry as Record<string, string>),
    'store-process': 'test/crash/store-process.ts',
    'checkpoint-steps': 'test/crash/checkpoint-steps.ts',
    'reused-thread': 'test/support/reused-thread.ts',
  },
  dts: false,
});
