/**
 * Starts the threads of stores from the bundle; run before each test file for this effect. From the sources each would
 * load dozens of modules, which takes longer than most of what the tests do with them.
 */
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import threads, { type WorkerOptions } from 'node:worker_threads';
import { inject } from 'vitest';

const built = (name: string) => pathToFileURL(join(inject('bundle'), 'dist', name));
const BUILT = new Map([
  [new URL('../../src/storage/catalog/sqlite/worker.ts', import.meta.url).href, built('sqlite-worker.js')],
  [new URL('../../src/storage/embedded/worker.ts', import.meta.url).href, built('embedded-worker.js')],
]);

threads.Worker = class extends threads.Worker {
  constructor(script: string | URL, options?: WorkerOptions) {
    super(BUILT.get(String(script)) ?? script, options);
  }
};
syncBuiltinESMExports();
