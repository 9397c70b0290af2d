/** Makes what a store lacks of its older images, behind everything else: it rests for longer than it works. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PreviewSource } from '../storage/domain/preview.ts';
import type { Previewed } from '../storage/types.ts';

const AT_ONCE = 100;
/** For each second of work. */
const REST = 4;
const LEAST_REST_MS = 100;
/** Between two looks at images that have what they need. */
const PAUSE_MS = 20;
/** The start has more to do. */
const FIRST_REST_MS = 5_000;

export interface OlderImagesOptions {
  /** Makes what one image lacks. */
  make(source: PreviewSource): Promise<void>;
  signal: AbortSignal;
  /** Default: 5 s. */
  firstRestMs?: number | undefined;
}

/** Goes from the newest to the oldest, and after a start begins again: what is there is passed over. Never rejects. */
export async function makeOlder(
  provider: Pick<Previewed, 'unhashed'>,
  { make, signal, firstRestMs = FIRST_REST_MS }: OlderImagesOptions,
): Promise<void> {
  const rest = (ms: number) => sleep(ms, undefined, { ref: false, signal });
  try {
    await rest(firstRestMs);
    for (let before = Number.MAX_SAFE_INTEGER; before > 0; ) {
      const page = await provider.unhashed!(before, AT_ONCE);
      before = page.before;
      for (const source of page.images) {
        const began = performance.now();
        await make(source);
        await rest(Math.max(LEAST_REST_MS, (performance.now() - began) * REST));
      }
      await rest(PAUSE_MS);
    }
  } catch {
    // The daemon stops, or the store does not answer: the next start goes on.
  }
}
