/** The part of the grid that is seen: its size, which rows are in it, and how it is moved. */
import { type ReadonlySignal, untracked, useComputed, useSignal, useSignalEffect } from '@preact/signals';
import type { RefObject } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { newestAsked } from '../state/focus.ts';
import { shown, total } from '../state/gallery.ts';
import { isAtTop } from '../state/live.ts';
import { density } from '../state/settings.ts';
import { noteScroll } from './fling.ts';
import { type Metrics, metricsOf } from './metrics.ts';
import { ScrollSpace } from './scroll-space.ts';

/** Rows beyond what is seen that are mounted. */
const MOUNTED_ROWS = 2;
const AT_TOP_PX = 8;

export interface GridWindow {
  scroller: RefObject<HTMLDivElement | null>;
  metrics: ReadonlySignal<Metrics>;
  rowCount: ReadonlySignal<number>;
  /** Of those that are mounted. */
  firstRow: ReadonlySignal<number>;
  lastRow: ReadonlySignal<number>;
  /** The place of the first image that is seen. */
  firstSeen: ReadonlySignal<number>;
  /** Whole rows that fit. */
  rowsOnScreen: ReadonlySignal<number>;
  /** What to take from the place of a row to draw it. */
  shiftPx: ReadonlySignal<number>;
  /** Of the element that is scrolled. */
  elementPx: ReadonlySignal<number>;
  onScroll(): void;
  /** Moves so that the image is the first one that is seen. */
  begin(index: number): void;
  /** Moves as little as shows the image. */
  show(index: number): void;
}

export function useWindow(): GridWindow {
  const scroller = useRef<HTMLDivElement>(null);
  const space = useMemo(() => new ScrollSpace(), []);
  const size = useSignal({ widthPx: 0, heightPx: 0 });
  const moved = useSignal(0);
  const metrics = useComputed(() => metricsOf(density.value, size.value.widthPx));
  const rowCount = useComputed(() => Math.ceil(total.value / metrics.value.columns));
  /** Kept in the space, too, since it must know them before it is scrolled. */
  const elementPx = useComputed(() => {
    space.contentPx = rowCount.value * metrics.value.rowPx;
    space.viewportPx = size.value.heightPx;
    return space.elementPx;
  });
  const topPx = useComputed(() => {
    moved.value;
    elementPx.value;
    return space.topPx;
  });
  const rowAtPx = (px: number) => Math.floor(px / metrics.value.rowPx);
  const firstRow = useComputed(() => Math.max(0, rowAtPx(topPx.value) - MOUNTED_ROWS));
  const lastRow = useComputed(() =>
    size.value.widthPx === 0
      ? -1
      : Math.min(rowCount.value - 1, rowAtPx(topPx.value + size.value.heightPx) + MOUNTED_ROWS),
  );
  const firstSeen = useComputed(() => rowAtPx(topPx.value) * metrics.value.columns);
  const rowsOnScreen = useComputed(() => Math.max(1, rowAtPx(size.value.heightPx)));
  const shiftPx = useComputed(() => {
    topPx.value;
    return space.shiftPx;
  });

  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => {
      const { width: widthPx, height: heightPx } = entry!.contentRect;
      size.value = { widthPx, heightPx };
    });
    observer.observe(scroller.current!);
    return () => observer.disconnect();
  }, []);

  const anchor = useRef(0);
  const moveTo = (px: number) => {
    elementPx.value;
    scroller.current!.scrollTop = space.moveTo(px);
    anchor.current = rowAtPx(space.topPx) * metrics.value.columns;
    moved.value += 1;
  };
  const topOf = (index: number) => Math.floor(index / metrics.value.columns) * metrics.value.rowPx;
  const onScroll = () => {
    const before = space.topPx;
    space.scrolledTo(scroller.current!.scrollTop);
    if (space.topPx === before) return;
    noteScroll(space.topPx - before, Math.max(1, space.viewportPx));
    anchor.current = rowAtPx(space.topPx) * metrics.value.columns;
    moved.value += 1;
  };
  const begin = (index: number) => moveTo(topOf(index));
  const show = (index: number) => {
    const top = topOf(index);
    const bottom = top + metrics.value.rowPx - space.viewportPx;
    if (top < space.topPx) moveTo(top);
    else if (bottom > space.topPx) moveTo(bottom);
  };

  // Other images begin at the top; another size of cells keeps the first image that is seen where it is.
  const selector = shown.value?.selector;
  useLayoutEffect(() => moveTo(0), [selector]);
  useSignalEffect(() => {
    if (newestAsked.value > 0) untracked(() => begin(shown.value?.selector.order === 'oldest' ? total.value - 1 : 0));
  });
  useSignalEffect(() => {
    isAtTop.value = topPx.value < AT_TOP_PX;
  });
  const { columns, rowPx } = metrics.value;
  useLayoutEffect(() => begin(anchor.current), [columns, rowPx]);

  return {
    scroller,
    metrics,
    rowCount,
    firstRow,
    lastRow,
    firstSeen,
    rowsOnScreen,
    shiftPx,
    elementPx,
    onScroll,
    begin,
    show,
  };
}
