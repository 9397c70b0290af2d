/** Counts the images in the folder of a new store that another program has put there. */
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { RAW } from '../shared/raw-path.ts';
import { IMAGE_NAME, walk } from '../shared/walk.ts';
import { countOf } from '../terminal/text.ts';

/** Enough to say so; a network disk may be slow. */
const MAX_MS = 1_000;

export interface ForeignImages {
  folder: string;
  count: number;
  /** True where more were not looked at. */
  more: boolean;
}

/** How a command for this daemon begins and ends. */
export interface CommandLine {
  command: string;
  /** Empty at the address that commands ask anyway, else with a space before it. */
  addressFlag: string;
}

/** Says of each place, where there are some, how many there are, and what brings them in. */
export async function tellOfForeign(
  places: readonly string[],
  line: CommandLine,
  say: (line: string, found: ForeignImages) => void,
): Promise<void> {
  for (const place of places) {
    const found = await findForeignImages(place);
    if (found !== undefined) say(foreignLine(found, line), found);
  }
}

/** Undefined where there are none, and for what is no folder, such as a bucket. */
async function findForeignImages(place: string): Promise<ForeignImages | undefined> {
  const folder = await realpath(place, RAW).catch(() => undefined);
  if (folder === undefined) return undefined;
  const until = performance.now() + MAX_MS;
  const found: ForeignImages = { folder: place, count: 0, more: false };
  for await (const { kind, path } of walk(folder, ownFolders(folder))) {
    if (kind === 'file' && IMAGE_NAME.test(path)) found.count += 1;
    found.more = performance.now() > until;
    if (found.more) break;
  }
  return found.count === 0 ? undefined : found;
}

/** Saves come meanwhile. */
function ownFolders(folder: string): string[] {
  return ['images/generations', 'metadata'].map((each) => join(folder, each));
}

/** `12 images in /data are not in the store; to bring them in: image-storage import /data` */
function foreignLine({ folder, count, more }: ForeignImages, { command, addressFlag }: CommandLine): string {
  const images = `${more ? 'more than ' : ''}${countOf(count, 'image')}`;
  const quoted = /^[\w/.,@%+=:-]+$/.test(folder) ? folder : `'${folder.replaceAll("'", "'\\''")}'`;
  const are = count === 1 ? 'is' : 'are';
  return `${images} in ${folder} ${are} not in the store; to bring them in: ${command} import ${quoted}${addressFlag}`;
}
