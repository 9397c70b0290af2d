/** One image in the grid: as a square, or as the cells of a line. */
import { useComputed } from '@preact/signals';
import { Pin } from 'lucide';
import type { ComponentChildren } from 'preact';
import type { Row } from '../api/images.ts';
import { Icon } from '../app/icon.tsx';
import { focusedIndex, lastOpened } from '../state/focus.ts';
import { rowAt } from '../state/gallery.ts';
import { linkTo } from '../state/open.ts';
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
        <Thumb key={row.id} row={row} widthPx={widthPx} />
        {row.pinned && <Badge />}
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
          <Thumb key={row.id} row={row} widthPx={LIST_THUMB_PX} />
          <span class="line-prompt">{row.prompt || row.filename}</span>
          {row.pinned && <Badge />}
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
  const wasOpened = useComputed(() => lastOpened.value === row.id);
  return (
    <a
      href={linkTo(row)}
      class={wasOpened.value ? 'cell-link was-opened' : 'cell-link'}
      tabIndex={isFocused.value ? 0 : -1}
      data-index={index}
    >
      {children}
    </a>
  );
}

function Badge() {
  return (
    <span class="badge">
      <Icon of={Pin} label={texts.pinned} />
    </span>
  );
}
