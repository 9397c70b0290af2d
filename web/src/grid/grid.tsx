/** The grid: mounts the rows that are near the window, and the one that has the focus. */
import { useSignalEffect } from '@preact/signals';
import { focusedIndex } from '../state/focus.ts';
import { shown, total } from '../state/gallery.ts';
import { useKeys } from '../state/keys.ts';
import { openAt } from '../state/open.ts';
import { isSelecting, selectTo, toggleAt } from '../state/selection.ts';
import { changeSettings, density, settings } from '../state/settings.ts';
import { texts } from '../texts.ts';
import { Cell, LINE_COLUMNS, Line } from './cell.tsx';
import { onContextMenu, onPointerDown } from './long-press.ts';
import { Scrubber } from './scrubber.tsx';
import { useGridFocus } from './use-focus.ts';
import { type GridWindow, useWindow } from './use-window.ts';

/** What is read beyond what is mounted, in screens. */
const READ_SCREENS = 1.5;

export function Grid() {
  const seen = useWindow();
  useGridFocus(seen);
  useKeys({ fit: () => changeSettings({ isContained: !settings.value.isContained }) });
  const { scroller, metrics, rowCount, firstRow, lastRow, rowsOnScreen, shiftPx, elementPx } = seen;
  useSignalEffect(() => {
    const { columns } = metrics.value;
    const rows = Math.ceil(rowsOnScreen.value * READ_SCREENS);
    if (lastRow.value < 0) return;
    shown.value?.rows.want((firstRow.value - rows) * columns, (lastRow.value + 1 + rows) * columns - 1);
  });
  const isList = density.value === 'list';
  const { columns, cellPx, gapPx, rowPx } = metrics.value;
  return (
    <>
      <div
        ref={scroller}
        class={settings.value.isContained ? 'scroller is-contained' : 'scroller'}
        onScroll={seen.onScroll}
        onClick={onClick}
        onPointerDown={onPointerDown}
        onContextMenu={onContextMenu}
        onFocusIn={onFocusIn}
      >
        <div
          role="grid"
          class={`grid grid-${density.value}`}
          aria-label={texts.grid}
          aria-rowcount={rowCount.value}
          aria-colcount={isList ? LINE_COLUMNS : columns}
          style={{
            height: `${elementPx.value}px`,
            '--gap': `${gapPx}px`,
            '--columns': `${columns}`,
            '--cell': `${cellPx}px`,
          }}
        >
          {mountedRows(seen).map((row) => (
            <div
              key={row}
              role="row"
              class="row"
              aria-rowindex={row + 1}
              style={{ transform: `translateY(${row * rowPx - shiftPx.value}px)` }}
            >
              {isList ? <Line index={row} /> : cellsOf(row, columns, cellPx)}
            </div>
          ))}
        </div>
      </div>
      <Scrubber seen={seen} />
    </>
  );
}

/** The row that has the focus stays: who is not at the screen would lose their place. */
function mountedRows({ metrics, rowCount, firstRow, lastRow }: GridWindow): number[] {
  const rows: number[] = [];
  const focused = focusedIndex.value < 0 ? -1 : Math.floor(focusedIndex.value / metrics.value.columns);
  if (focused >= 0 && focused < firstRow.value) rows.push(focused);
  for (let row = firstRow.value; row <= lastRow.value; row += 1) rows.push(row);
  if (focused > lastRow.value && focused < rowCount.value) rows.push(focused);
  return rows;
}

function cellsOf(row: number, columns: number, cellPx: number) {
  const first = row * columns;
  const count = Math.min(columns, total.value - first);
  return Array.from({ length: Math.max(0, count) }, (_, column) => (
    <Cell key={column} index={first + column} column={column} widthPx={cellPx} />
  ));
}

function onClick(event: MouseEvent): void {
  const index = indexOf(event.target);
  if (index === undefined || event.button !== 0) return;
  event.preventDefault();
  const isCheck = event.target instanceof Element && event.target.closest('.check') !== null;
  if (event.shiftKey) void selectTo(index);
  else if (event.ctrlKey || event.metaKey || isCheck || isSelecting.value) toggleAt(index);
  else openAt(index);
}

function onFocusIn({ target }: FocusEvent): void {
  const index = indexOf(target);
  if (index !== undefined) focusedIndex.value = index;
}

function indexOf(target: EventTarget | null): number | undefined {
  const cell = target instanceof Element ? target.closest<HTMLElement>('[data-index]') : null;
  return cell === null ? undefined : Number(cell.dataset.index);
}
