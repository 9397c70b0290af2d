/** Keeps previews in a folder, up to a budget of bytes: the one that was not used for the longest time goes first. */
import { hash } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rename, rm, stat, statfs, unlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PREVIEW_WIDTHS, type PreviewWidth, previewFile } from '../storage/domain/preview.ts';

/** Backups leave out such a folder; see bford.info/cachedir. */
const TAG = 'CACHEDIR.TAG';
const TAG_TEXT = `Signature: 8a477f597d28d172789f06886806bc55
# Previews of images: they are made again when they are asked for.
`;
/** Of previews; names behind it are of files that were not finished. */
const FILE = /^[0-9a-f]{2}[\\/][0-9a-f]{64}-w\d+-v\d+\.webp(\.tmp)?$/;
/** Behind the bytes of a preview stands their sha256: of a file that a power cut has torn, nothing is served. */
const CHECK_BYTES = 32;
/** How exactly the next start knows when a preview was used. */
const USE_MS = 60 * 60 * 1000;
/** Below either, the room is left to images. */
const LEAST_FREE_BYTES = 1024 ** 3;
const LEAST_FREE_SHARE = 0.05;
const ROOM_KEPT_MS = 1_000;

interface Entry {
  bytes: number;
  /** When its file says that it was used, ms since 1970. */
  usedAt: number;
}

/** What a look at the disk has found. */
interface Room {
  at: number;
  /** That previews may take. */
  bytes: Promise<number>;
  /** That they have taken since. */
  takenBytes: number;
}

export interface CacheOptions {
  folder: string;
  maxBytes: number;
  /** Mode of files; unset: what the umask leaves. */
  fileMode?: number | undefined;
  /** What others want to stay free on the disk. */
  leastFreeBytes?: number;
  /** Returns what is left free of a disk of this size besides. Default: a gigabyte, and 5 % at least. */
  spareBytesOf?: (capacityBytes: number) => number;
  now?: () => number;
}

export class PreviewCache {
  readonly #folder: string;
  readonly #maxBytes: number;
  readonly #fileMode: number | undefined;
  readonly #leastFreeBytes: number;
  readonly #spareBytesOf: (capacityBytes: number) => number;
  readonly #now: () => number;
  /** By their files, the one first that was not used for the longest time. */
  readonly #entries = new Map<string, Entry>();
  readonly #opened: Promise<void>;
  #bytes = 0;
  #room: Room | undefined;

  constructor({ folder, maxBytes, fileMode, leastFreeBytes = 0, ...options }: CacheOptions) {
    this.#folder = folder;
    this.#maxBytes = maxBytes;
    this.#fileMode = fileMode;
    this.#leastFreeBytes = leastFreeBytes;
    this.#spareBytesOf = options.spareBytesOf ?? spareBytesOf;
    this.#now = options.now ?? Date.now;
    // Nothing is kept where nothing can be written.
    this.#opened = this.#readFolder().catch(() => undefined);
  }

  get files(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isHalfFull(): boolean {
    return this.#bytes > this.#maxBytes / 2;
  }

  /** Resolves once what an earlier process has left is known. */
  opened(): Promise<void> {
    return this.#opened;
  }

  /** Returns undefined where it has none. */
  async find(sha256: string, width: PreviewWidth): Promise<Buffer | undefined> {
    const file = previewFile(sha256, width);
    const content = await readFile(join(this.#folder, file)).catch(() => undefined);
    const bytes = content && checked(content);
    if (bytes !== undefined) this.#use(file, content!.length);
    else await this.#forget(file);
    return bytes;
  }

  /** Never rejects: a preview that cannot be kept is made again. */
  async keep(sha256: string, width: PreviewWidth, bytes: Uint8Array): Promise<void> {
    await this.#opened;
    if (!(await this.#takeRoom(bytes.length))) return;
    const file = previewFile(sha256, width);
    try {
      await this.#write(file, Buffer.concat([bytes, checkOf(bytes)]));
      await this.#shrink();
    } catch {
      await rm(join(this.#folder, `${file}.tmp`), { force: true }).catch(() => undefined);
    }
  }

  /** Removes all previews of an image. */
  async remove(sha256: string): Promise<void> {
    for (const width of PREVIEW_WIDTHS) await this.#forget(previewFile(sha256, width));
  }

  async #write(file: string, content: Buffer): Promise<void> {
    const path = join(this.#folder, file);
    const made = await this.#makeFolder(dirname(path));
    // A store that needs room has emptied it.
    if (made) for (const name of this.#entries.keys()) if (dirname(name) === dirname(file)) this.#drop(name);
    const temporary = `${path}.tmp`;
    // Nothing that is in the way is written through.
    await writeFile(temporary, content, { flag: 'wx' });
    if (this.#fileMode !== undefined) await chmod(temporary, this.#fileMode);
    await rename(temporary, path);
    this.#note(file, { bytes: content.length, usedAt: this.#now() });
  }

  async #readFolder(): Promise<void> {
    await this.#makeFolder(this.#folder);
    await this.#writeTag();
    const found: [file: string, Entry][] = [];
    for (const name of await readdir(this.#folder, { recursive: true })) {
      const [isOurs, unfinished] = FILE.exec(name) ?? [];
      if (unfinished !== undefined) await rm(join(this.#folder, name), { force: true });
      else if (isOurs !== undefined) {
        const { size, mtimeMs } = await stat(join(this.#folder, name));
        found.push([name, { bytes: size, usedAt: mtimeMs }]);
      }
    }
    for (const [file, entry] of found.sort(([, a], [, b]) => a.usedAt - b.usedAt)) this.#note(file, entry);
    await this.#shrink();
  }

  async #writeTag(): Promise<void> {
    const path = join(this.#folder, TAG);
    try {
      await writeFile(path, TAG_TEXT, { flag: 'wx' });
      if (this.#fileMode !== undefined) await chmod(path, this.#fileMode);
    } catch {
      // It is there, or cannot be: previews are kept without it.
    }
  }

  /** Returns whether it was not there. Who may read previews may enter it. */
  async #makeFolder(path: string): Promise<boolean> {
    const made = await mkdir(path, { recursive: true });
    if (made === undefined) return false;
    const mode = this.#fileMode;
    if (mode !== undefined) await chmod(path, mode | ((mode & 0o444) >> 2));
    return true;
  }

  /** Returns whether there was room. Previews that are made one soon after the other share one look. */
  async #takeRoom(bytes: number): Promise<boolean> {
    const now = performance.now();
    if (this.#room === undefined || now - this.#room.at > ROOM_KEPT_MS) {
      this.#room = { at: now, bytes: this.#lookForRoom(), takenBytes: 0 };
    }
    const room = this.#room;
    room.takenBytes += bytes;
    return room.takenBytes <= (await room.bytes);
  }

  async #lookForRoom(): Promise<number> {
    try {
      const { bavail, blocks, bsize } = await statfs(this.#folder);
      return bavail * bsize - this.#leastFreeBytes - this.#spareBytesOf(blocks * bsize);
    } catch {
      return 0;
    }
  }

  #note(file: string, entry: Entry): void {
    this.#drop(file);
    this.#entries.set(file, entry);
    this.#bytes += entry.bytes;
  }

  #drop(file: string): void {
    this.#bytes -= this.#entries.get(file)?.bytes ?? 0;
    this.#entries.delete(file);
  }

  #use(file: string, bytes: number): void {
    const usedAt = this.#entries.get(file)?.usedAt ?? 0;
    const now = this.#now();
    const isNoted = now - usedAt < USE_MS;
    this.#note(file, { bytes, usedAt: isNoted ? usedAt : now });
    if (!isNoted) void utimes(join(this.#folder, file), now / 1000, now / 1000).catch(() => undefined);
  }

  async #forget(file: string): Promise<void> {
    if (!this.#entries.has(file)) return;
    this.#drop(file);
    await unlink(join(this.#folder, file)).catch(() => undefined);
  }

  async #shrink(): Promise<void> {
    for (const [file] of this.#entries) {
      if (this.#bytes <= this.#maxBytes) return;
      await this.#forget(file);
    }
  }
}

function spareBytesOf(capacityBytes: number): number {
  return Math.max(LEAST_FREE_BYTES, capacityBytes * LEAST_FREE_SHARE);
}

function checkOf(bytes: Uint8Array): Buffer {
  return hash('sha256', bytes, 'buffer');
}

/** Returns the bytes of a preview, or undefined where they are not those that were written. */
function checked(content: Buffer): Buffer | undefined {
  const bytes = content.subarray(0, -CHECK_BYTES);
  return content.length > CHECK_BYTES && checkOf(bytes).equals(content.subarray(-CHECK_BYTES)) ? bytes : undefined;
}
