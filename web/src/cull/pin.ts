/** Pins and tags images, one by one or all that are selected. */
import { CallError } from '../api/call.ts';
import { type Change, updateImage } from '../api/changes.ts';
import type { ImageJson } from '../api/contract.ts';
import { type Row, rowOf } from '../api/images.ts';
import { keepDetails } from '../panel/details.ts';
import { replaceRow } from '../state/gallery.ts';
import { say, tell, tellError } from '../state/notices.ts';
import { replaceOpen } from '../state/open.ts';
import { texts } from '../texts.ts';
import { rowsAtHand } from './targets.ts';

const AT_ONCE = 6;

/** Pins what is at hand, or takes the pins off where all of it is pinned. */
export async function togglePins(): Promise<void> {
  const rows = await rowsAtHand().catch(tellError);
  if (rows === undefined || rows.length === 0) return;
  const pinned = !rows.every((row) => row.pinned);
  await changeAll(rows, { pinned }, pinned ? texts.cull.pinned : texts.cull.unpinned);
}

export async function changeTags(change: Pick<Change, 'addTags' | 'removeTags'>): Promise<void> {
  const rows = await rowsAtHand().catch(tellError);
  if (rows !== undefined) await changeAll(rows, change, texts.cull.tagged);
}

/** Shows an image as it is now, wherever it is shown. */
export function showChanged(image: ImageJson): void {
  const row = rowOf(image);
  keepDetails(image);
  replaceRow(row);
  replaceOpen(row);
}

/** Goes on past images that fail: what was changed stays so, and the first error is told. */
async function changeAll(rows: readonly Row[], wanted: Change, done: (count: number) => string): Promise<void> {
  const waiting = [...rows];
  let failure: CallError | undefined;
  let count = 0;
  const work = async () => {
    for (let row = waiting.shift(); row !== undefined; row = waiting.shift()) {
      try {
        showChanged(await updateImage(row, wanted));
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
