/** What an action is for: the open image, else the selection, else the image that the keyboard is at. */
import { listRows, type Row } from '../api/images.ts';
import { focusedIndex } from '../state/focus.ts';
import { rowAt } from '../state/gallery.ts';
import { isOpen, openRow } from '../state/open.ts';
import { selected, selectedCount } from '../state/selection.ts';
import { filtersOf } from '../state/url.ts';
import { selector } from '../state/view.ts';

/** So many are changed one by one. */
export const MAX_EACH = 1000;

export function isForSelection(): boolean {
  return !isOpen.value && selectedCount.value > 0;
}

/** The image at hand; undefined: none. */
export function rowAtHand(): Row | undefined {
  if (isOpen.value) return openRow.value;
  return focusedIndex.value < 0 ? undefined : rowAt(focusedIndex.value);
}

/** Of a page of a list. */
const MAX_ROWS = 1000;

/** Reads the rows that an action changes one by one: of a selection of all that match, those that match now. Rejects as `listRows`. */
export async function rowsAtHand(): Promise<Row[]> {
  if (!isForSelection()) return [rowAtHand()].filter((row) => row !== undefined);
  const { isAll, rows } = selected.peek();
  if (!isAll) return [...rows.values()];
  const found: Row[] = [];
  let pageToken = '';
  do {
    // A page may end before its limit.
    const page = await listRows({
      filters: filtersOf(selector.peek()),
      oldestFirst: false,
      limit: MAX_ROWS,
      pageToken,
    });
    found.push(...page.rows.filter(({ id }) => !rows.has(id)));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return found;
}
