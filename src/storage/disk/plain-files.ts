/** Opens the files of a store without following links and without waiting, and refuses what is no plain file. */
import { closeSync, constants, fstatSync, open as openFile, openSync, readFileSync, type Stats } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { writeOnce } from './descriptors.ts';

const openDescriptor = promisify(openFile);
const { O_APPEND, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } = constants;
/** Windows has neither. Without O_NONBLOCK, opening a pipe would hold a thread of the pool until another end opens. */
const GUARDS = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
/** How `open` fails on links, and on pipes and sockets that nobody serves. */
const REFUSALS = ['ELOOP', 'EMLINK', 'ENXIO', 'ENOTSUP', 'EOPNOTSUPP', 'EISDIR'];

const MODES = {
  read: O_RDONLY,
  change: O_RDWR,
  replace: O_WRONLY | O_CREAT | O_TRUNC,
  append: O_WRONLY | O_CREAT | O_APPEND,
};

/** Thrown when something else is in the place of a file or folder of the store. The message has the path. */
export class NotPlainError extends Error {
  override readonly name = 'NotPlainError';
  readonly code: 'EISDIR' | 'ELOOP' | 'EFTYPE';
  /** What was found, such as `a link`. */
  readonly what: string;
  /** The same in a clause, without the path, such as `a link is in its place`. */
  readonly found: string;

  constructor(path: string, stats: Stats, place: 'its place' | 'the place of its folder') {
    const [code, what] = kindOf(stats);
    super(`${path}: ${what} is in its place`);
    this.code = code;
    this.what = what;
    this.found = `${what} is in ${place}`;
  }
}

function kindOf(stats: Stats): [NotPlainError['code'], string] {
  if (stats.isSymbolicLink()) return ['ELOOP', 'a link'];
  if (stats.isDirectory()) return ['EISDIR', 'a folder'];
  return ['EFTYPE', stats.isFile() ? 'a file' : 'a pipe, socket or device'];
}

/** Rejects with NotPlainError, or as open(2). Mode `replace` empties an existing file. */
export async function openPlain(path: string, mode: keyof typeof MODES = 'read'): Promise<FileHandle> {
  const file = await opened(path, open(path, MODES[mode] | GUARDS));
  // Synchronous: the kernel answers from memory, and a thread pool job would take longer.
  const stats = fstatSync(file.fd);
  if (stats.isFile()) return file;
  await file.close();
  throw new NotPlainError(path, stats, 'its place');
}

/** A file by its descriptor, which the caller closes. */
export interface OpenedPlain {
  descriptor: number;
  size: number;
}

/** The same as a descriptor, for files that are read once; the caller closes it. */
export async function openPlainDescriptor(path: string, mode: keyof typeof MODES = 'read'): Promise<number> {
  return (await openPlainMeasured(path, mode)).descriptor;
}

export async function openPlainMeasured(path: string, mode: keyof typeof MODES = 'read'): Promise<OpenedPlain> {
  const descriptor = await opened(path, openDescriptor(path, MODES[mode] | GUARDS));
  const stats = fstatSync(descriptor);
  if (stats.isFile()) return { descriptor, size: stats.size };
  closeSync(descriptor);
  throw new NotPlainError(path, stats, 'its place');
}

async function opened<T>(path: string, opening: Promise<T>): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    if (REFUSALS.includes((error as NodeJS.ErrnoException).code ?? '')) await statPlain(path);
    throw error;
  }
}

/** Returns the stats of a plain file. Rejects with NotPlainError, or as lstat(2). */
export async function statPlain(path: string): Promise<Stats> {
  const stats = await lstat(path);
  if (!stats.isFile()) throw new NotPlainError(path, stats, 'its place');
  return stats;
}

/** Requires a folder that is no link. Rejects with NotPlainError, or as lstat(2). */
export async function checkFolder(path: string): Promise<void> {
  const stats = await lstat(path);
  if (!stats.isDirectory()) throw new NotPlainError(path, stats, 'the place of its folder');
}

/** Writes a small file, in place of the content of an existing one. */
export async function writePlain(path: string, content: string): Promise<void> {
  const bytes = Buffer.from(content);
  const descriptor = await openPlainDescriptor(path, 'replace');
  try {
    for (let done = 0; done < bytes.length; ) done += await writeOnce(descriptor, bytes.subarray(done), done);
  } finally {
    closeSync(descriptor);
  }
}

/** Yields the bytes of an open file. */
export async function* chunksOf(file: FileHandle, chunkBytes: number): AsyncGenerator<Buffer> {
  for (let position = 0; ; ) {
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.allocUnsafe(chunkBytes), position });
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Synchronous, for the start. Throws NotPlainError, or as open(2). */
export function readPlainSync(path: string): string {
  const descriptor = openSync(path, O_RDONLY | GUARDS);
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw new NotPlainError(path, stats, 'its place');
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}
