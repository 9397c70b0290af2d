/** Reads the file of an image in the process that decodes: a plain file with the bytes that were saved. */
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import { dirname } from 'node:path';
import { LabelSearch } from './label.ts';
import type { DecodeOrder } from './messages.ts';
import type { Source } from './reduce.ts';

/** Larger files are not held, but read again where they lie. */
const MAX_HELD_BYTES = 16 * 1024 * 1024;
const PART_BYTES = 1024 * 1024;
/** Windows has neither. */
const GUARDS = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** The file is not there, or not what was saved. */
export class UnreadError extends Error {
  override readonly name = 'UnreadError';
}

/** Runs work with the bytes of a file. Throws an UnreadError. */
export async function withFile<T>(
  { path, sizeBytes, sha256 }: DecodeOrder & { path: string },
  work: (source: Source) => Promise<T>,
): Promise<T> {
  const descriptor = opened(path);
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile() || stats.size !== sizeBytes) throw new UnreadError('the file is not what was saved');
    const isHeld = sizeBytes <= MAX_HELD_BYTES;
    const memory = Buffer.allocUnsafeSlow(Math.min(sizeBytes, isHeld ? sizeBytes : PART_BYTES));
    const [hash, search] = [createHash('sha256'), new LabelSearch()];
    for (let position = 0; position < sizeBytes; ) {
      const into = isHeld ? memory.subarray(position, position + PART_BYTES) : memory;
      const part = into.subarray(0, readSync(descriptor, into, 0, into.length, position));
      if (part.length === 0) throw new UnreadError('the file ends early');
      hash.update(part);
      search.add(part);
      position += part.length;
    }
    if (hash.digest('hex') !== sha256) throw new UnreadError('the file has other bytes than were saved');
    return await work({ input: isHeld ? memory : pathOf(descriptor, path), head: headOf(memory), term: search.found });
  } finally {
    closeSync(descriptor);
  }
}

/** The source of bytes that were sent. */
export function heldSource(bytes: Buffer): Source {
  const search = new LabelSearch();
  search.add(bytes);
  return { input: bytes, head: headOf(bytes), term: search.found };
}

function headOf(bytes: Buffer): Buffer {
  return bytes.subarray(0, 1024);
}

/** Follows no link below the folder of all images, as whoever reads an image of the store. */
function opened(path: string): number {
  const [model, day] = [dirname(path), dirname(dirname(path))];
  try {
    for (const folder of [day, model]) if (!lstatSync(folder).isDirectory()) throw new UnreadError('a folder is none');
    return openSync(path, constants.O_RDONLY | GUARDS);
  } catch (error) {
    throw new UnreadError(error instanceof Error ? error.message : `${error}`);
  }
}

/** The open file, whatever has its name by now. */
function pathOf(descriptor: number, path: string): string {
  return process.platform === 'linux' ? `/proc/self/fd/${descriptor}` : path;
}
