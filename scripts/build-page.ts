/** Builds the gallery: `web/` into a folder of static files, whose names but the page's have a hash of what is in them. */
import { existsSync, globSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'vite';
import { thirdPartyLicenses } from './third-party-licenses.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Where a daemon that runs from the sources looks for it. */
const OF_CHECKOUT = join(root, 'dist/web');
const MADE_OF = ['web', 'web/**', 'scripts/*.ts', 'package-lock.json'];

export async function buildPage(folder: string): Promise<void> {
  await build({
    root: join(root, 'web'),
    configFile: false,
    logLevel: 'warn',
    // It names its files from where it is, so that it works below any path.
    base: './',
    plugins: [thirdPartyLicenses() as unknown as Plugin],
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: {
      outDir: folder,
      emptyOutDir: true,
      // Those that know light-dark() and popovers.
      target: ['chrome123', 'firefox125', 'safari17.5'],
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
      // What is needed first comes in one file; what later parts share with it would else be some ten.
      rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'first', tags: ['$initial'] }] } } },
    },
  });
}

/** For a checkout, where what was built is older than what it is made of. */
export async function buildPageWhereStale(folder = OF_CHECKOUT): Promise<void> {
  const page = join(folder, 'index.html');
  const changedMs = Math.max(...globSync(MADE_OF, { cwd: root }).map((path) => statSync(join(root, path)).mtimeMs));
  if (!existsSync(page) || statSync(page).mtimeMs < changedMs) await buildPage(folder);
}

if (import.meta.main) {
  // A daemon without its gallery is of use, too.
  await buildPageWhereStale().catch((error) => console.error(`the gallery is not built: ${error}`));
}
