/** A new file by its descriptor: fewer objects and jobs of the thread pool than a FileHandle, for files that live briefly. */
import { close, closeSync, fstatSync, open } from 'node:fs';
import { promisify } from 'node:util';
import { readOnce, syncBytes, writeOnce, writeVector } from './descriptors.ts';
import type { Inode } from './files.ts';
import { syncInTurn } from './sync-turns.ts';

const openDescriptor = promisify(open);
const closeDescriptor = promisify(close);
/** Creates it. Rejects with EEXIST where the name is taken. */
export async function createFile(path: string): Promise<NewFile> {
  return new NewFile(await openDescriptor(path, 'wx+'));
}

export class NewFile {
  #descriptor: number | undefined;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Writes all chunks: a single write on a nearly full disk may be short without an error. */
  async write(chunks: readonly Uint8Array[], position: number): Promise<void> {
    let written = chunks.length > 1 ? await writeVector(this.#open(), chunks, position) : 0;
    let at = position;
    for (const chunk of chunks) {
      const done = Math.min(written, chunk.length);
      written -= done;
      if (done < chunk.length) await this.#writeRest(chunk.subarray(done), at + done);
      at += chunk.length;
    }
  }

  /** Returns up to `lengthBytes` at that position; fewer at the end of the file. */
  async readAt(position: number, lengthBytes: number): Promise<Buffer> {
    if (lengthBytes <= 0) return Buffer.alloc(0);
    const buffer = Buffer.allocUnsafe(lengthBytes);
    return buffer.subarray(0, await readOnce(this.#open(), buffer, position));
  }

  /** Puts the bytes on stable storage. */
  async sync(): Promise<void> {
    await syncInTurn(() => syncBytes(this.#open()));
  }

  identity(): Inode {
    // Synchronous, as below: the kernel answers from memory, and a thread pool job would take longer.
    const { dev, ino } = fstatSync(this.#open(), { bigint: true });
    return { dev, ino };
  }

  /** Closes a file that is synced. Returns its size. */
  closeSynced(): number {
    const descriptor = this.#open();
    const { size } = fstatSync(descriptor);
    this.#descriptor = undefined;
    closeSync(descriptor);
    return size;
  }

  /** Does nothing where it is closed. */
  async close(): Promise<void> {
    const descriptor = this.#descriptor;
    this.#descriptor = undefined;
    if (descriptor !== undefined) await closeDescriptor(descriptor);
  }

  #open(): number {
    if (this.#descriptor === undefined) throw new Error('the file is closed');
    return this.#descriptor;
  }

  async #writeRest(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      done += await writeOnce(this.#open(), bytes.subarray(done), position + done);
    }
  }
}
