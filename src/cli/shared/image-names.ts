/** Turns what people type for an image into its filename: a short id, the beginning of a filename, a path or a URL. */
import type {
  CallOptions,
  GetOptions,
  ImageStorageClient,
  ImageStorageError,
  ProviderChoice,
  StoredImage,
} from '../../client.ts';

/** Where a name is looked up. */
export type Lookup = ProviderChoice & CallOptions & { in?: 'store' | 'trash' };

const FILENAME = /^\d{8}_\d{6}_[a-z0-9-]{1,70}_([0-9a-z]{6})\.[a-z]{3,4}$/;
const SHORT_ID = /^[0-9a-z]{6}$/;
/** From the whole day on: less would meet most images of a store. */
const BEGINNING = /^\d{8}(_[0-9a-z_.-]*)?$/;
/** Enough to tell which it may be. */
const SHOWN = 5;
/** gRPC's INVALID_ARGUMENT; grpc-js is not loaded for a number. */
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 'IMAGE_NOT_FOUND';

/** Said of an argument that takes these forms. */
export const IMAGE_ARGUMENT = 'or its short id, or the beginning of it, which only one image has';

/** Returns the short id of a filename, or the whole of a name that is not of our form. */
export function shortIdOf(filename: string): string {
  return FILENAME.exec(filename)?.[1] ?? filename;
}

/** As `fullName`, of each. */
export async function fullNames(
  client: ImageStorageClient,
  typed: readonly string[],
  lookup: Lookup,
): Promise<string[]> {
  const names: string[] = [];
  for (const name of typed) names.push(await fullName(client, name, lookup));
  return names;
}

/**
 * Returns the filename that is meant; what no image has is returned as it is, and the daemon says that it is not there.
 * Rejects with an ImageStorageError that names the images where several are meant.
 */
export async function fullName(client: ImageStorageClient, typed: string, lookup: Lookup): Promise<string> {
  const name = typed.replace(/[?#].*$/s, '').replace(/^.*[\\/]/s, '');
  if (FILENAME.test(name)) return name;
  if (!SHORT_ID.test(typed) && !BEGINNING.test(typed)) return typed;
  const [found, ...others] = await lookUp(client, typed, lookup);
  if (others.length === 0) return found ?? typed;
  // Loaded already: by the connection.
  const { ImageStorageError } = await import('../../client.ts');
  const names = [found, ...others].slice(0, SHOWN).join(', ');
  const more = others.length < SHOWN ? '' : ' and more';
  throw new ImageStorageError(INVALID_ARGUMENT, `${typed} may be any of ${names}${more}`);
}

/**
 * Reads the image that is meant, as `get` of the client. Rejects with an ImageStorageError that names it where it is not
 * there, and says whether it is in the trash.
 */
export async function getNamed(
  client: ImageStorageClient,
  typed: string,
  { provider, signal, metadataOnly }: Pick<GetOptions, 'provider' | 'signal' | 'metadataOnly'>,
): Promise<StoredImage> {
  const filename = await fullName(client, typed, { provider, signal });
  try {
    return await client.get(filename, { provider, signal, metadataOnly });
  } catch (error) {
    const { code, reason } = error as Partial<ImageStorageError>;
    if (reason !== NOT_FOUND) throw error;
    const { ImageStorageError } = await import('../../client.ts');
    const place = await insteadOf(client, filename, { provider, signal });
    throw new ImageStorageError(code!, `${filename}: no such image; ${place}`, { reason });
  }
}

async function insteadOf(client: ImageStorageClient, filename: string, lookup: Lookup): Promise<string> {
  // An older daemon, and a store without one, have no trash; what is missing stays missing.
  const [trashed] = await lookUp(client, filename, { ...lookup, in: 'trash' }).catch(() => []);
  if (trashed !== undefined) return `it is in the trash: image-storage restore ${trashed} brings it back`;
  return 'image-storage list shows what there is';
}

/** Returns the filenames that are meant, one more than are shown at most. An older daemon finds none. */
async function lookUp(client: ImageStorageClient, typed: string, lookup: Lookup): Promise<string[]> {
  const { provider, signal } = lookup;
  const options = { provider, query: `filename:${typed}`, signal };
  const images = lookup.in === 'trash' ? client.listTrash(options) : client.list({ ...options, view: 'row' });
  const found: string[] = [];
  for await (const { filename } of images) {
    // The name of a model may have a word like it.
    if (shortIdOf(filename) === typed || filename.startsWith(typed)) found.push(filename);
    if (found.length > SHOWN) break;
  }
  return found;
}
