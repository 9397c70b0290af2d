/**
 * Bundles the daemon, its workers, the library and the client into a flat `dist/` that needs no other package at run time,
 * and the gallery into `dist/web/`.
 */
import { join } from 'node:path';
import { defineConfig } from 'tsdown';
import { buildPage } from './scripts/build-page.ts';
import { thirdPartyLicenses } from './scripts/third-party-licenses.ts';

export default defineConfig({
  entry: {
    main: 'src/main.ts',
    // Started by URL, which the bundler does not follow: entries of their own, beside main.js.
    'sqlite-worker': 'src/storage/catalog/sqlite/worker.ts',
    'embedded-worker': 'src/storage/embedded/worker.ts',
    'preview-worker': 'src/previews/worker.ts',
    index: 'src/storage/index.ts',
    client: 'src/client.ts',
  },
  platform: 'node',
  target: 'node24',
  fixedExtension: false,
  dts: { entry: ['src/storage/index.ts', 'src/client.ts'] },
  deps: {
    alwaysBundle: /./,
    onlyBundle: false,
    onlyImport: [],
    // The public types mention no package; were one to, the build would fail by `onlyImport`.
    dts: { alwaysBundle: [], neverBundle: true },
  },
  // Else a type that only private code uses leaves an empty import of its package behind.
  treeshake: { moduleSideEffects: 'no-external' },
  plugins: [thirdPartyLicenses()],
  hooks: { 'build:done': ({ options }) => buildPage(join(options.outDir, 'web')) },
});
