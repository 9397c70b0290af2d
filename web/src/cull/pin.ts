/** Pins and tags images, one by one or all that are selected. */
import { CallError } from '../api/call.ts';
import { type Change, updateImage } from '../api/changes.ts';
import type { Row } from '../api/images.ts';
import { replaceRow } from '../state/gallery.ts';
import { say, tell } from '../state/notices.ts';
import { texts } from '../texts.ts';
import { rowsAtHand } from './targets.ts';

const AT_ONCE = 6;

/** Pins what is at hand, or takes the pins off where all of it is pinned. */
export async function togglePins(): Promise<void> {
  const rows = await rowsAtHand();
  if (rows.length === 0) return;
  const pinned = !rows.every((row) => row.pinned);
  await changeAll(rows, { pinned }, pinned ? texts.cull.pinned : texts.cull.unpinned);
}

export async function changeTags(change: Pick<Change, 'addTags' | 'removeTags'>): Promise<void> {
  await changeAll(await rowsAtHand(), change, texts.cull.tagged);
}

/** Goes on past images that fail: what was changed stays so, and the first error is told. */
async function changeAll(rows: readonly Row[], wanted: Change, done: (count: number) => string): Promise<void> {
  const waiting = [...rows];
  let failure: CallError | undefined;
  let count = 0;
  const work = async () => {
    for (let row = waiting.shift(); row !== undefined; row = waiting.shift()) {
      try {
        replaceRow(await updateImage(row, wanted));
        count += 1;
      } catch (error) {
        if (!(error instanceof CallError)) throw error;
        failure ??= error;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (failure !== undefined) tell({ text: texts.cull.failed(rows.length - count, failure.message), isError: true });
  else if (rows.length === 1) say(done(1));
  else tell({ text: done(count) });
}
