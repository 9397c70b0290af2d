/** Holds the bytes of a save until they are sent: in memory while they are few and there is room, else in a file. */
import { type FileHandle, open, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { nanoid } from 'nanoid';
import { hasCode, isOfOneFile, makeFolders, unlinkIfPresent, writeAll, writeFully } from '../disk/files.ts';
import { checkFolder } from '../disk/plain-files.ts';
import type { ByteBatch } from '../domain/requests.ts';
import type { IncomingBytes } from '../types.ts';
import type { Payload } from './object-store.ts';

const MIB = 1024 * 1024;
const MAX_HELD_BYTES = 8 * MIB;
const BLOCK_BYTES = 256 * 1024;

/** Memory blocks for spooled bytes; blocks given back are reused, which spares the kernel and the garbage collector. */
export class BlockPool {
  readonly #idle: Buffer[] = [];
  #left: number;

  constructor(bytes: number) {
    this.#left = Math.floor(bytes / BLOCK_BYTES);
  }

  /** Returns `count` blocks with arbitrary content, or undefined when fewer are left. */
  take(count: number): Buffer[] | undefined {
    if (count > this.#left) return undefined;
    this.#left -= count;
    const blocks = this.#idle.splice(0, count);
    while (blocks.length < count) blocks.push(Buffer.allocUnsafeSlow(BLOCK_BYTES));
    return blocks;
  }

  giveBack(blocks: readonly Buffer[]): void {
    this.#left += blocks.length;
    this.#idle.push(...blocks);
  }
}

/** Memory that all providers of the process share. Blocks are never freed, so it counts even when nothing is held. */
const HELD_BYTES = new BlockPool(32 * MIB);

export interface SpoolOptions {
  pool?: BlockPool;
  /** Makes room on the disk; returns whether it had any to give. Default: there is none. */
  makeRoom?: () => Promise<boolean>;
}

export class Spool {
  readonly #folder: string;
  readonly #options: Required<SpoolOptions>;

  constructor(folder: string, { pool = HELD_BYTES, makeRoom = async () => false }: SpoolOptions = {}) {
    this.#folder = folder;
    this.#options = { pool, makeRoom };
  }

  /** Creates the folder, and empties it of files that a crash left. Rejects with NotPlainError where it is a link. */
  async prepare(): Promise<void> {
    await makeFolders(this.#folder);
    await checkFolder(this.#folder);
    for (const name of await readdir(this.#folder)) await unlink(join(this.#folder, name)).catch(unlessOfOneFile);
  }

  /** `expectedBytes`: above 8 MiB the bytes go to a file from the first one on. */
  open(expectedBytes = 0): SpooledBytes {
    return new SpooledBytes(join(this.#folder, nanoid()), this.#options, expectedBytes);
  }
}

function unlessOfOneFile(error: unknown): void {
  if (!isOfOneFile(error)) throw error;
}

export class SpooledBytes implements IncomingBytes {
  readonly #path: string;
  readonly #pool: BlockPool;
  readonly #makeRoom: () => Promise<boolean>;
  readonly #expectedBytes: number;
  #blocks: Buffer[] = [];
  #file: FileHandle | undefined;
  #size = 0;

  constructor(path: string, { pool, makeRoom }: Required<SpoolOptions>, expectedBytes: number) {
    this.#path = path;
    this.#pool = pool;
    this.#makeRoom = makeRoom;
    this.#expectedBytes = expectedBytes;
  }

  async write(chunks: ByteBatch): Promise<void> {
    const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
    if (this.#file === undefined && !this.#hold(chunks, bytes)) await this.#moveToFile();
    const [file, at] = [this.#file, this.#size];
    if (file !== undefined) await this.#withRoom(() => writeAll(file, chunks, at));
    this.#size += bytes;
  }

  /** Runs a write at a fixed position, once more where there was room to be made. */
  async #withRoom(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      if (!hasCode(error, 'ENOSPC', 'EDQUOT') || !(await this.#makeRoom())) throw error;
      await write();
    }
  }

  /** Returns up to `lengthBytes` at that position; fewer at the end. */
  async readAt(position: number, lengthBytes: number): Promise<Buffer> {
    const length = Math.min(lengthBytes, this.#size - position);
    if (length <= 0) return Buffer.alloc(0);
    const bytes = Buffer.allocUnsafe(length);
    if (this.#file !== undefined) {
      const { bytesRead } = await this.#file.read({ buffer: bytes, position });
      return bytes.subarray(0, bytesRead);
    }
    for (let done = 0; done < length; ) {
      const at = position + done;
      done += this.#blocks[Math.floor(at / BLOCK_BYTES)]!.copy(bytes, done, at % BLOCK_BYTES);
    }
    return bytes;
  }

  /** Returns all that was written; readable until `discard`. */
  payload(sha256: string): Payload {
    return { size: this.#size, sha256, open: () => this.#read() };
  }

  /** Frees memory and file; idempotent. */
  async discard(): Promise<void> {
    this.#release();
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
    if (file !== undefined) await unlinkIfPresent(this.#path);
  }

  /** Returns false when there is no room. Equal blocks let many small chunks take no more than a few large ones. */
  #hold(chunks: ByteBatch, bytes: number): boolean {
    const end = this.#size + bytes;
    if (Math.max(end, this.#expectedBytes) > MAX_HELD_BYTES) return false;
    const blocks = this.#pool.take(Math.ceil(end / BLOCK_BYTES) - this.#blocks.length);
    if (blocks === undefined) return false;
    this.#blocks.push(...blocks);
    let at = this.#size;
    for (const chunk of chunks) {
      this.#fill(chunk, at);
      at += chunk.length;
    }
    return true;
  }

  #fill(chunk: Uint8Array, from: number): void {
    for (let done = 0; done < chunk.length; ) {
      const at = from + done;
      const part = chunk.subarray(done, done + BLOCK_BYTES - (at % BLOCK_BYTES));
      this.#blocks[Math.floor(at / BLOCK_BYTES)]!.set(part, at % BLOCK_BYTES);
      done += part.length;
    }
  }

  async #moveToFile(): Promise<void> {
    this.#file = await open(this.#path, 'wx+', 0o600);
    let position = 0;
    for (const block of this.#held()) {
      const [file, at] = [this.#file, position];
      await this.#withRoom(() => writeFully(file, block, at));
      position += block.length;
    }
    this.#release();
  }

  #read(): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
    if (this.#file === undefined) return [...this.#held()];
    return this.#file.createReadStream({ start: 0, autoClose: false, highWaterMark: BLOCK_BYTES });
  }

  *#held(): Generator<Buffer> {
    for (const [index, block] of this.#blocks.entries()) yield block.subarray(0, this.#size - index * BLOCK_BYTES);
  }

  #release(): void {
    this.#pool.giveBack(this.#blocks);
    this.#blocks = [];
  }
}
