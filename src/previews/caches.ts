/** The caches of all providers: one for each folder, which several providers may have in common. */
import type { PreviewFolder } from '../storage/domain/preview.ts';
import { PreviewCache } from './cache.ts';

export class PreviewCaches {
  readonly #maxBytes: number;
  readonly #byFolder = new Map<string, PreviewCache>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  of({ path: folder, ...others }: PreviewFolder): PreviewCache {
    let cache = this.#byFolder.get(folder);
    if (cache === undefined) {
      cache = new PreviewCache({ ...others, folder, maxBytes: this.#maxBytes });
      this.#byFolder.set(folder, cache);
    }
    return cache;
  }

  /** What all of them have. */
  get load(): { keptFiles: number; keptBytes: number } {
    const caches = [...this.#byFolder.values()];
    return {
      keptFiles: caches.reduce((sum, { files }) => sum + files, 0),
      keptBytes: caches.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  }
}
