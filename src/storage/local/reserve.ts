/**
 * Disk space that a store keeps for itself, so that a delete and a start work on a full disk. It is held in pieces: what
 * one piece makes room for leaves the others to whatever comes next, a crash included.
 */
import { randomBytes } from 'node:crypto';
import { KeyedQueue } from '../async/keyed-queue.ts';
import { CatalogError, type LocalCatalog } from '../catalog/catalog.ts';
import { capacityOf } from '../disk/file-system.ts';
import { hasCode, ifPresent, unlinkIfPresent, writeFully } from '../disk/files.ts';
import { openPlain, statPlain } from '../disk/plain-files.ts';
import type { StorageLimits } from '../domain/config.ts';
import { StorageError } from '../domain/errors.ts';
import type { Layout } from './layout.ts';

const MAX_PIECES = 8;
const MIN_PIECE_BYTES = 512 * 1024;
const BLOCK_BYTES = 4096;
/** The most of a disk that the reserve takes. */
const SHARE_OF_DISK = 1 / 8;

/** Returns the paths of all pieces that there can be. A version that knows only the first one gives that up. */
export function reservePieces({ reserve }: Pick<Layout, 'reserve'>): string[] {
  return Array.from({ length: MAX_PIECES }, (_, index) => (index === 0 ? reserve : `${reserve}-${index + 1}`));
}

export class Reserve {
  readonly #layout: Layout;
  readonly #pieces: readonly string[];
  readonly #pieceBytes: number;
  readonly #queue = new KeyedQueue();
  #isWhole = false;
  #copyLog: LocalCatalog['copyLog'] | undefined;
  #makeRoom: () => Promise<number> = async () => 0;
  /** Writes of saves that run now. */
  #writes = 0;
  #onNoWrites: (() => void) | undefined;

  /** A delete rewrites the metadata of its image in the catalog and in the catalog's log: four times its limit is kept. */
  constructor(layout: Layout, { maxMetadataBytes }: Pick<StorageLimits, 'maxMetadataBytes'>) {
    this.#layout = layout;
    this.#pieces = reservePieces(layout);
    this.#pieceBytes = Math.max(MIN_PIECE_BYTES, Math.ceil(maxMetadataBytes / 2));
  }

  /** From now on what is lent also lets the catalog copy its log, so that its further changes need next to no space. */
  serve(catalog: Pick<LocalCatalog, 'copyLog'>): void {
    this.#copyLog = () => catalog.copyLog();
  }

  /** False: what becomes free goes to the reserve, and saves are refused until it is whole. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Takes what is missing of the reserve, as far as there is room. Returns whether it is whole. */
  take(): Promise<boolean> {
    return this.#queue.run('', () => this.#take());
  }

  /** Takes what is missing, unless the reserve is whole. Rejects with DISK_FULL when no room can be made. */
  async requireWhole(): Promise<void> {
    while (!this.#isWhole && !(await this.take())) {
      if ((await this.#makeRoom()) === 0) throw diskFull();
    }
  }

  /** From now on a write that meets a full disk is repeated while this makes room: it returns what it gave up. */
  relieveBy(makeRoom: () => Promise<number>): void {
    this.#makeRoom = makeRoom;
  }

  /**
   * Runs a write of a save, which may be repeated. Rejects with DISK_FULL, and does not begin, while the reserve is not
   * whole.
   */
  async write<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await this.#write(work);
      } catch (error) {
        if (!isFull(error) || (await this.#makeRoom()) === 0) throw error;
      }
    }
  }

  async #write<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#isWhole) throw diskFull();
    this.#writes += 1;
    try {
      return await work();
    } finally {
      this.#writes -= 1;
      if (this.#writes === 0) this.#onNoWrites?.();
    }
  }

  /**
   * Runs work that must not fail for lack of space: while it does, gives up one piece after another and repeats it, once
   * no save writes any more. The caller takes the reserve again, after whatever frees room.
   */
  async lend<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!isFull(error)) throw error;
    }
    return this.#queue.run('', async () => {
      this.#isWhole = false;
      await this.#noWrites();
      const result = await this.#repeat(work, () => this.#giveUpPiece());
      while ((await this.#copyLog?.()) === 'full' && (await this.#giveUpPiece()));
      return result;
    });
  }

  /**
   * As `lend`, of work that waits for the turns of images: whoever has such a turn may lend meanwhile, too, which `lend` would
   * let wait for this work, and this work for it.
   */
  lendAcrossTurns(work: () => Promise<void>): Promise<void> {
    const giveUp = async () => {
      this.#isWhole = false;
      await this.#noWrites();
      return this.#giveUpPiece();
    };
    return this.#repeat(work, () => this.#queue.run('', giveUp));
  }

  /** `giveUp`: gives up a piece; returns false where there is none left. */
  async #repeat<T>(work: () => Promise<T>, giveUp: () => Promise<boolean>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!isFull(error) || !(await giveUp())) throw error;
      }
    }
  }

  /** Runs work that cannot be repeated: gives up half of the reserve first where there is less free space than that. */
  lendOnce<T>(work: () => Promise<T>): Promise<T> {
    return this.#queue.run('', async () => {
      const half = Math.ceil(this.#pieces.length / 2);
      const { freeBytes = 0 } = await capacityOf(this.#layout.metadata);
      if (freeBytes < half * this.#pieceBytes) {
        this.#isWhole = false;
        await this.#noWrites();
        for (let count = 0; count < half; count += 1) await this.#giveUpPiece();
      }
      try {
        return await work();
      } finally {
        await this.#take();
      }
    });
  }

  async #noWrites(): Promise<void> {
    if (this.#writes === 0) return;
    await new Promise<void>((resolve) => {
      this.#onNoWrites = resolve;
    });
    this.#onNoWrites = undefined;
  }

  /** Returns false when there is none left. The first one goes last. */
  async #giveUpPiece(): Promise<boolean> {
    for (const piece of this.#pieces.toReversed()) if (await unlinkIfPresent(piece)) return true;
    return false;
  }

  async #take(): Promise<boolean> {
    const { capacityBytes = 0 } = await capacityOf(this.#layout.metadata);
    const share = Math.floor((capacityBytes * SHARE_OF_DISK) / this.#pieceBytes);
    try {
      for (const piece of this.#pieces.slice(0, Math.max(1, share))) await fillPiece(piece, this.#pieceBytes);
      this.#isWhole = true;
    } catch (error) {
      this.#isWhole = false;
      if (!isFull(error)) throw error;
    }
    return this.#isWhole;
  }
}

/** Makes the file as large as a piece, or as there is room: the last blocks, too, before it rejects with ENOSPC. */
async function fillPiece(path: string, pieceBytes: number): Promise<void> {
  let size = (await ifPresent(statPlain(path)))?.size ?? 0;
  if (size >= pieceBytes) return;
  await using file = await openPlain(path, 'append');
  for (let most = pieceBytes; size < pieceBytes; ) {
    // Random, so that no file system compresses it to nothing.
    const bytes = randomBytes(Math.min(most, pieceBytes - size));
    try {
      await writeFully(file, bytes, size);
      size += bytes.length;
    } catch (error) {
      // Linux may refuse a large write as a whole where a small one fits.
      if (!isFull(error) || most <= BLOCK_BYTES) throw error;
      most /= 8;
      size = (await file.stat()).size;
    }
  }
}

/** Returns whether an error of a file, of the catalog or of a commit says that the disk is full. */
export function isFull(error: unknown): boolean {
  if (error instanceof StorageError) return error.reason === 'DISK_FULL';
  return hasCode(error, 'ENOSPC', 'EDQUOT') || (error instanceof CatalogError && error.failure === 'full');
}

function diskFull(): StorageError {
  return new StorageError('DISK_FULL', 'the disk of the store is full');
}
