/** Checks that a search finds images that a catalog has. */
import { existsSync } from 'node:fs';
import { unfoundImage } from '../catalog/index-check.ts';
import { readClosed } from '../catalog/sqlite/closed-catalog.ts';
import { type CheckResult, Shortcoming, skipped } from './check.ts';

/** `name` is that of the provider. */
export async function examineSearch(catalogPath: string, name: string): Promise<CheckResult> {
  if (!existsSync(catalogPath)) return 'no image to search for yet';
  const found = await readClosed(catalogPath, async (catalog) => ({ unfound: await unfoundImage(catalog) }));
  if (found === undefined) return skipped('the catalog cannot be read as it is: the next start looks through it');
  if (found.unfound === undefined) return 'the newest images are found by words of their prompts';
  const { word, record } = found.unfound;
  const fix = `stop the daemon, then: image-storage catalog rebuild --provider ${name}`;
  throw new Shortcoming(`the index is blind: "${word}" does not find ${record.filename}; ${fix}`);
}
