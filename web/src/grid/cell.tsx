/** One image in the grid: as a square, or as the cells of a line. */
import { useComputed } from '@preact/signals';
import { Check as CheckIcon, Pin } from 'lucide';
import type { ComponentChildren } from 'preact';
import type { Row } from '../api/images.ts';
import { Icon } from '../app/icon.tsx';
import { focusedIndex, lastOpened } from '../state/focus.ts';
import { rowAt } from '../state/gallery.ts';
import { gone } from '../state/gone.ts';
import { linkTo } from '../state/open.ts';
import { isSelected } from '../state/selection.ts';
import { texts } from '../texts.ts';
import { Thumb } from './thumb.tsx';

interface CellProps {
  index: number;
  column: number;
  widthPx: number;
}

const LIST_THUMB_PX = 48;
export const LINE_COLUMNS = 4;

export function Cell({ index, column, widthPx }: CellProps) {
  const row = rowAt(index);
  if (row === undefined) return <div role="gridcell" class="cell" aria-colindex={column + 1} aria-busy="true" />;
  return (
    <div role="gridcell" class="cell" aria-colindex={column + 1}>
      <CellLink row={row} index={index}>
        <Thumb key={row.id} row={row} widthPx={widthPx} isGone={gone.value.has(row.id)} />
        {row.pinned && <Badge />}
        <Check row={row} />
      </CellLink>
    </div>
  );
}

export function Line({ index }: { index: number }) {
  const row = rowAt(index);
  if (row === undefined) return <div role="gridcell" class="line" aria-busy="true" />;
  return (
    <>
      <div role="gridcell" class="line" aria-colindex={1}>
        <CellLink row={row} index={index}>
          <Thumb key={row.id} row={row} widthPx={LIST_THUMB_PX} isGone={gone.value.has(row.id)} isNamed />
          <span class="line-prompt">{row.prompt || row.filename}</span>
          {row.pinned && <Badge />}
          <Check row={row} />
        </CellLink>
      </div>
      <div role="gridcell" class="line-model" aria-colindex={2}>
        {row.model}
      </div>
      <div role="gridcell" class="line-size" aria-colindex={3}>
        {texts.pixels(row.width, row.height)}
      </div>
      <div role="gridcell" class="line-time" aria-colindex={4}>
        {texts.moment(row.timestamp)}
      </div>
    </>
  );
}

interface LinkProps {
  row: Row;
  index: number;
  children: ComponentChildren;
}

/** `data-index` tells the grid which cell an event is about. */
function CellLink({ row, index, children }: LinkProps) {
  const isFocused = useComputed(() => focusedIndex.value === index || (focusedIndex.value < 0 && index === 0));
  const state = useComputed(() => {
    const parts = ['cell-link'];
    if (lastOpened.value === row.id) parts.push('was-opened');
    if (gone.value.has(row.id)) parts.push('is-gone');
    if (isSelected(row)) parts.push('is-selected');
    return parts.join(' ');
  });
  return (
    <a href={linkTo(row)} class={state.value} tabIndex={isFocused.value ? 0 : -1} data-index={index}>
      {children}
    </a>
  );
}

/** Seen where a pointer is or something is selected; a click on it selects. */
function Check({ row }: { row: Row }) {
  const isChecked = useComputed(() => isSelected(row));
  return (
    <span class="check" title={texts.cull.select}>
      {isChecked.value && <Icon of={CheckIcon} label={texts.cull.isSelected} />}
    </span>
  );
}

function Badge() {
  return (
    <span class="badge">
      <Icon of={Pin} label={texts.pinned} />
    </span>
  );
}
