/** The grid: mounts the rows that are near the window, and the one that has the focus. */
import { useComputed, useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { focusedIndex } from '../state/focus.ts';
import { shown, total } from '../state/gallery.ts';
import { useKeys } from '../state/keys.ts';
import { openAt } from '../state/open.ts';
import { changeSettings, density, settings } from '../state/settings.ts';
import { texts } from '../texts.ts';
import { Cell, Line } from './cell.tsx';
import { noteScroll } from './fling.ts';
import { metricsOf } from './metrics.ts';
import { ScrollSpace } from './scroll-space.ts';

/** Rows beyond the window that are mounted, and those beyond that are read. */
const MOUNTED_ROWS = 2;
const READ_SCREENS = 1.5;

export function Grid() {
  const scroller = useRef<HTMLDivElement>(null);
  const space = useRef(new ScrollSpace()).current;
  const size = useSignal({ widthPx: 0, heightPx: 0 });
  const scrolled = useSignal(0);
  const metrics = useComputed(() => metricsOf(density.value, size.value.widthPx));
  const rowCount = useComputed(() => Math.ceil(total.value / metrics.value.columns));
  const firstRow = useComputed(() => {
    scrolled.value;
    return Math.max(0, Math.floor(space.topPx / metrics.value.rowPx) - MOUNTED_ROWS);
  });
  const lastRow = useComputed(() => {
    scrolled.value;
    const bottom = Math.floor((space.topPx + size.value.heightPx) / metrics.value.rowPx) + MOUNTED_ROWS;
    return Math.min(rowCount.value - 1, bottom);
  });
  const shiftPx = useComputed(() => {
    scrolled.value;
    return space.shiftPx;
  });

  space.contentPx = rowCount.value * metrics.value.rowPx;
  space.viewportPx = size.value.heightPx;

  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => {
      const { width: widthPx, height: heightPx } = entry!.contentRect;
      size.value = { widthPx, heightPx };
    });
    observer.observe(scroller.current!);
    return () => observer.disconnect();
  }, []);

  const moveTo = (topPx: number) => {
    scroller.current!.scrollTop = space.moveTo(topPx);
    scrolled.value += 1;
  };
  const onScroll = () => {
    const before = space.topPx;
    space.scrolledTo(scroller.current!.scrollTop);
    noteScroll(space.topPx - before, Math.max(1, space.viewportPx));
    scrolled.value += 1;
    anchor.current = Math.floor(space.topPx / metrics.value.rowPx) * metrics.value.columns;
  };

  // Other images begin at the top; another density or width keeps the first image that is seen where it is.
  const anchor = useRef(0);
  const current = shown.value?.selector;
  useLayoutEffect(() => {
    anchor.current = 0;
    focusedIndex.value = -1;
    moveTo(0);
  }, [current]);
  const { columns, rowPx, cellPx, gapPx } = metrics.value;
  useLayoutEffect(() => moveTo(Math.floor(anchor.current / columns) * rowPx), [columns, rowPx]);

  useSignalEffect(() => {
    const screens = Math.ceil((size.value.heightPx / metrics.value.rowPx) * READ_SCREENS);
    const { columns } = metrics.value;
    if (size.value.widthPx === 0) return;
    shown.value?.rows.want((firstRow.value - screens) * columns, (lastRow.value + 1 + screens) * columns - 1);
  });

  const wantsFocus = useRef(false);
  const focusOn = (index: number) => {
    focusedIndex.value = Math.min(Math.max(0, index), total.value - 1);
    wantsFocus.current = true;
    const topPx = Math.floor(focusedIndex.value / columns) * rowPx;
    if (topPx < space.topPx) moveTo(topPx);
    else if (topPx + rowPx > space.topPx + space.viewportPx) moveTo(topPx + rowPx - space.viewportPx);
  };
  useEffect(() => {
    if (!wantsFocus.current) return;
    const cell = scroller.current!.querySelector<HTMLElement>(`[data-index="${focusedIndex.value}"]`);
    if (cell === null) return;
    wantsFocus.current = false;
    cell.focus({ preventScroll: true });
  });

  const rowsOnScreen = Math.max(1, Math.floor(space.viewportPx / rowPx) - 1);
  const step = (by: number) => () => focusOn(focusedIndex.value < 0 ? 0 : focusedIndex.value + by);
  useKeys({
    left: step(-1),
    right: step(1),
    up: step(-columns),
    down: step(columns),
    pageUp: step(-columns * rowsOnScreen),
    pageDown: step(columns * rowsOnScreen),
    first: () => focusOn(0),
    last: () => focusOn(total.value - 1),
    open: () => focusedIndex.value >= 0 && openAt(focusedIndex.value),
    fit: () => changeSettings({ isContained: !settings.value.isContained }),
  });

  const onClick = (event: MouseEvent) => {
    const index = indexOf(event.target);
    if (index === undefined || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    focusedIndex.value = index;
    openAt(index);
  };
  const onFocusIn = ({ target }: FocusEvent) => {
    const index = indexOf(target);
    if (index !== undefined) focusedIndex.value = index;
  };

  const isList = density.value === 'list';
  const rows: number[] = [];
  const focusedRow = focusedIndex.value < 0 ? -1 : Math.floor(focusedIndex.value / columns);
  if (focusedRow >= 0 && focusedRow < firstRow.value) rows.push(focusedRow);
  for (let row = firstRow.value; row <= lastRow.value; row += 1) rows.push(row);
  if (focusedRow > lastRow.value && focusedRow < rowCount.value) rows.push(focusedRow);
  return (
    <div
      ref={scroller}
      class={`scroller ${settings.value.isContained ? 'is-contained' : ''}`}
      onScroll={onScroll}
      onClick={onClick}
      onFocusIn={onFocusIn}
    >
      <div
        role="grid"
        class={`grid grid-${density.value}`}
        aria-label={texts.grid}
        aria-rowcount={rowCount.value}
        aria-colcount={isList ? 4 : columns}
        style={{
          height: `${space.elementPx}px`,
          '--gap': `${gapPx}px`,
          '--columns': `${columns}`,
          '--cell': `${cellPx}px`,
        }}
      >
        {rows.map((row) => (
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
  );
}

function cellsOf(row: number, columns: number, cellPx: number) {
  const first = row * columns;
  const count = Math.min(columns, total.value - first);
  return Array.from({ length: Math.max(0, count) }, (_, column) => (
    <Cell key={column} index={first + column} column={column} widthPx={cellPx} />
  ));
}

function indexOf(target: EventTarget | null): number | undefined {
  const cell = target instanceof Element ? target.closest<HTMLElement>('[data-index]') : null;
  return cell === null ? undefined : Number(cell.dataset.index);
}
