/** The previews of a storage: made of its images, kept in its folders. */
import type { Logger } from '../storage/domain/logger.ts';
import type { PreviewSource } from '../storage/domain/preview.ts';
import type { Storage } from '../storage/types.ts';
import type { PreviewCache } from './cache.ts';
import { PreviewCaches } from './caches.ts';
import { Previewer, type Wanted } from './previewer.ts';

export interface Previews {
  /** Returns undefined where none can be made, or nobody waits for it any more. Rejects as a read of the image. */
  preview(wanted: Wanted): Promise<Uint8Array | undefined>;
  close(): void;
}

export interface PreviewSettings {
  enabled: boolean;
  /** Of each folder. */
  maxBytes: number;
}

/** Where they are not enabled, there are none. */
export function createPreviews(storage: Storage, { enabled, maxBytes }: PreviewSettings, log: Logger): Previews {
  if (!enabled) return { preview: async () => undefined, close() {} };
  const caches = new PreviewCaches(maxBytes);
  const cacheOf = (provider: string): PreviewCache => caches.of(storage.previewed(provider).previewFolder);
  const read = async ({ filename, provider }: PreviewSource) => (await storage.get(filename, { provider })).body;
  const previewer = new Previewer({ log, read, cacheOf });
  return { preview: (wanted) => previewer.preview(wanted), close: () => previewer.close() };
}
