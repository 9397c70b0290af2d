/** Keeps previews in a folder, up to a budget of bytes: the one that was not used for the longest time goes first. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type PreviewWidth, previewFile } from '../storage/domain/preview.ts';

/** See bford.info/cachedir: backups leave out the folder. */
const TAG =
  'Signature: 8a477f597d28d172789f06886806bc55\n# Previews of images, which are made again when they are asked for.\n';
/** Behind the bytes of each file: of one that a power cut has torn, nothing is served. */
const CHECK_BYTES = 32;
/** How exactly a start knows when a file was used last. */
const USE_MS = 60 * 60 * 1000;

interface Entry {
  bytes: number;
  /** When the file says that it was used. */
  usedAt: number;
}

export interface CacheOptions {
  folder: string;
  maxBytes: number;
  /** Mode of files; unset: what the umask leaves. */
  fileMode?: number | undefined;
  now: () => number;
}

export class PreviewCache {
  readonly #options: CacheOptions;
  /** By their files, the one first that was not used for the longest time. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;
  readonly #opened: Promise<void>;

  constructor(options: CacheOptions) {
    this.#options = options;
    this.#opened = this.#open();
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Returns undefined where it has none. */
  async find(sha256: string, width: PreviewWidth): Promise<Buffer | undefined> {
    const file = previewFile(sha256, width);
    const content = await readFile(join(this.#options.folder, file)).catch(() => undefined);
    const bytes = content && checked(content);
    if (bytes === undefined) {
      await this.#forget(file, content !== undefined);
      return undefined;
    }
    this.#use(file, content!.length);
    return bytes;
  }

  /** Never rejects: a preview that cannot be kept is made again. */
  async keep(sha256: string, width: PreviewWidth, bytes: Uint8Array): Promise<void> {
    await this.#opened;
    const { folder, fileMode, now } = this.#options;
    const file = previewFile(sha256, width);
    const path = join(folder, file);
    const temporary = `${path}.tmp`;
    try {
      await mkdir(dirname(path), { recursive: true });
      const content = Buffer.concat([bytes, checkOf(bytes)]);
      await writeFile(temporary, content, { mode: fileMode });
      await rename(temporary, path);
      this.#note(file, { bytes: content.length, usedAt: now() });
      await this.#shrink();
    } catch {
      await rm(temporary, { force: true }).catch(() => undefined);
    }
  }

  /** Reads what an earlier process has left. */
  async #open(): Promise<void> {
    const { folder } = this.#options;
    try {
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, 'CACHEDIR.TAG'), TAG);
      const found: [file: string, Entry][] = [];
      for (const name of await readdir(folder, { recursive: true })) {
        if (!/^[0-9a-f]{2}[\\/]/.test(name)) continue;
        if (name.endsWith('.tmp')) await rm(join(folder, name), { force: true });
        const stats = name.endsWith('.webp') ? await stat(join(folder, name)) : undefined;
        if (stats !== undefined) found.push([name, { bytes: stats.size, usedAt: stats.mtimeMs }]);
      }
      for (const [file, entry] of found.sort(([, a], [, b]) => a.usedAt - b.usedAt)) this.#note(file, entry);
      await this.#shrink();
    } catch {
      // Nothing is kept where nothing can be written.
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
    const { folder, now } = this.#options;
    const usedAt = this.#entries.get(file)?.usedAt ?? 0;
    const isNoted = now() - usedAt < USE_MS;
    this.#note(file, { bytes, usedAt: isNoted ? usedAt : now() });
    if (!isNoted) void utimes(join(folder, file), now() / 1000, now() / 1000).catch(() => undefined);
  }

  async #forget(file: string, isThere: boolean): Promise<void> {
    this.#drop(file);
    if (isThere) await unlink(join(this.#options.folder, file)).catch(() => undefined);
  }

  async #shrink(): Promise<void> {
    for (const [file] of this.#entries) {
      if (this.#bytes <= this.#options.maxBytes) return;
      await this.#forget(file, true);
    }
  }
}

function checkOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** Returns the bytes of a preview, or undefined where they are not those that were written. */
function checked(content: Buffer): Buffer | undefined {
  const bytes = content.subarray(0, -CHECK_BYTES);
  return content.length > CHECK_BYTES && checkOf(bytes).equals(content.subarray(-CHECK_BYTES)) ? bytes : undefined;
}
