#!/usr/bin/env node
/** Checks Node's version, in syntax that old versions parse, then loads the sources of a checkout, or the bundle. */
const MINIMUM = 24;
const CONFIG = 78;

if (parseInt(process.versions.node, 10) < MINIMUM) {
  process.stderr.write(`image-storage needs Node.js ${MINIMUM} or later; this is ${process.version}\n`);
  process.exitCode = CONFIG;
} else {
  start();
}

async function start() {
  // Syncs wait for the disk; without more threads, what the kernel does at once would wait behind them.
  process.env.UV_THREADPOOL_SIZE ??= '12';
  const { existsSync } = await import('node:fs');
  const { enableCompileCache, getCompileCacheDir } = await import('node:module');
  enableCompileCache();
  // Worker threads find the cache by this variable; without it each compiles all of its modules and, in a checkout,
  // loads the TypeScript stripper.
  process.env.NODE_COMPILE_CACHE ??= getCompileCacheDir();
  // A checkout runs its sources, also beside an older bundle; packages have none.
  const sources = new URL('../src/main.ts', import.meta.url);
  const { main } = await import(existsSync(sources) ? sources.href : '../dist/main.js');
  await main(process.argv);
}
