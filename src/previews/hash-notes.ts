/** Notes the ThumbHashes of one provider in its catalog: several together, since each commit waits for the disk. */
import type { ThumbHashNote } from '../storage/domain/preview.ts';
import type { Previewed } from '../storage/types.ts';

const WAIT_MS = 1_000;
const MAX_TOGETHER = 100;

export class HashNotes {
  readonly #provider: Pick<Previewed, 'setThumbHashes'>;
  #notes: ThumbHashNote[] = [];
  #later: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(provider: Pick<Previewed, 'setThumbHashes'>) {
    this.#provider = provider;
  }

  add(note: ThumbHashNote): void {
    this.#notes.push(note);
    if (this.#notes.length >= MAX_TOGETHER) void this.write();
    else this.#later ??= setTimeout(() => void this.write(), WAIT_MS).unref();
  }

  /** Resolves once all that were added are written. Never rejects: what is lost is made again at the next preview. */
  write(): Promise<void> {
    clearTimeout(this.#later);
    this.#later = undefined;
    const notes = this.#notes;
    this.#notes = [];
    if (notes.length > 0) {
      const write = () => this.#provider.setThumbHashes(notes);
      this.#writing = this.#writing.then(write).catch(() => undefined);
    }
    return this.#writing;
  }
}
