/** Reads, writes and syncs descriptors, with fewer objects and jobs of the thread pool than a FileHandle takes. */
import { fdatasync, fsync, read, write, writev } from 'node:fs';

/** Returns the number of bytes read; 0 at the end of the file. */
export function readOnce(descriptor: number, buffer: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(descriptor, buffer, 0, buffer.length, position, (error, bytes) =>
      error === null ? resolve(bytes) : reject(error),
    );
  });
}

/** Returns the number of bytes written. Rejects with ENOSPC where it is none. */
export function writeOnce(descriptor: number, bytes: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(descriptor, bytes, 0, bytes.length, position, (error, written) => {
      if (error !== null) reject(error);
      else if (written === 0) reject(nothingWritten());
      else resolve(written);
    });
  });
}

/** Returns the number of bytes written of all chunks. */
export function writeVector(descriptor: number, chunks: readonly Uint8Array[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    writev(descriptor, chunks, position, (error, written) => (error === null ? resolve(written) : reject(error)));
  });
}

export function nothingWritten(): Error {
  return Object.assign(new Error('nothing was written'), { code: 'ENOSPC' });
}

/** Puts a folder's names on stable storage. */
export function syncNames(descriptor: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fsync(descriptor, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** Puts a file's bytes on stable storage. */
export function syncBytes(descriptor: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fdatasync(descriptor, (error) => (error === null ? resolve() : reject(error)));
  });
}
