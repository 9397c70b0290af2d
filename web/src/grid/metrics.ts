/** How large cells are, and how many stand in a row. */
import type { Density } from '../state/url.ts';

export interface Metrics {
  columns: number;
  /** Of a cell, and of the picture in it. */
  cellPx: number;
  gapPx: number;
  /** From the top of a row to that of the next. */
  rowPx: number;
}

const LIST_ROW_PX = 56;
const PHONE_PX = 600;
const SIZES = { small: 120, medium: 180, large: 280 };
const GAPS = { small: 2, medium: 4, large: 8 };
const PHONE_COLUMNS = { small: 4, medium: 3, large: 2 };

/** Cells grow beyond their size until they fill the width. */
export function metricsOf(density: Density, widthPx: number): Metrics {
  if (density === 'list') return { columns: 1, cellPx: widthPx, gapPx: 0, rowPx: LIST_ROW_PX };
  const gapPx = GAPS[density];
  const fitting = Math.floor((widthPx + gapPx) / (SIZES[density] + gapPx));
  const columns = widthPx <= PHONE_PX ? PHONE_COLUMNS[density] : Math.max(1, fitting);
  const cellPx = Math.max(1, (widthPx - gapPx * (columns - 1)) / columns);
  return { columns, cellPx, gapPx, rowPx: cellPx + gapPx };
}
