#!/usr/bin/env node
/** Checks Node's version, in words that old versions understand, then loads the sources of a checkout, or the bundle. */
const MINIMUM = 24;
const CONFIG = 78;

if (parseInt(process.versions.node, 10) < MINIMUM) {
  process.stderr.write(`image-storage needs Node.js ${MINIMUM} or later; this is ${process.version}\n`);
  process.exitCode = CONFIG;
} else {
  start();
}

async function start() {
  const { existsSync } = await import('node:fs');
  const { enableCompileCache } = await import('node:module');
  const { setFlagsFromString } = await import('node:v8');
  enableCompileCache();
  // A sidecar stays small: without this, V8 lets the heap of a busy daemon grow by 100 MB before it looks for garbage.
  setFlagsFromString('--optimize-for-size');
  // A checkout runs what is in its tree, also beside an older bundle; packages have no sources.
  const sources = new URL('../src/main.ts', import.meta.url);
  const { main } = await import(existsSync(sources) ? sources.href : '../dist/main.js');
  await main(process.argv);
}
