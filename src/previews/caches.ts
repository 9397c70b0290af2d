/** The caches of all providers: one for each folder, which several providers may have in common. */
import type { PreviewFolder } from '../storage/domain/preview.ts';
import { PreviewCache } from './cache.ts';

export class PreviewCaches {
  readonly #maxBytes: number;
  readonly #byFolder = new Map<string, PreviewCache>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  of({ path: folder, fileMode }: PreviewFolder): PreviewCache {
    let cache = this.#byFolder.get(folder);
    if (cache === undefined) {
      cache = new PreviewCache({ folder, fileMode, maxBytes: this.#maxBytes, now: Date.now });
      this.#byFolder.set(folder, cache);
    }
    return cache;
  }
}
