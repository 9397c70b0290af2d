/** The way through time at the edge of the grid: where one is, and a month for each place one can go to. */
import { useComputed, useSignal, useSignalEffect } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { shown, total } from '../state/gallery.ts';
import { dayAt, type Layout, type Month, monthsOf } from '../state/layout.ts';
import { texts } from '../texts.ts';
import type { GridWindow } from './use-window.ts';

const LABEL_PX = 22;
const MOVING_MS = 1200;

export function Scrubber({ seen }: { seen: GridWindow }) {
  const track = useRef<HTMLDivElement>(null);
  const pointed = useSignal<number | undefined>(undefined);
  const isScrubbing = useSignal(false);
  const isMoving = useSignal(false);
  // On phones it is seen while one moves.
  useSignalEffect(() => {
    if (seen.firstSeen.value === 0 && !isScrubbing.value) return;
    isMoving.value = true;
    const timer = setTimeout(() => (isMoving.value = false), MOVING_MS);
    return () => clearTimeout(timer);
  });
  const layout = shown.value?.rows.layout;
  const months = useComputed(() => (shown.value ? monthsOf(shown.value.rows.layout) : []));
  const { firstSeen, metrics, rowsOnScreen, rowCount } = seen;
  if (layout === undefined || rowCount.value <= rowsOnScreen.value) return null;

  /** From the first image that is at the top to the last one that can be. */
  const last = Math.max(1, (rowCount.value - rowsOnScreen.value) * metrics.value.columns);
  const placeOf = ({ clientY }: PointerEvent) => {
    const { top, height } = track.current!.getBoundingClientRect();
    return Math.round(Math.min(1, Math.max(0, (clientY - top) / height)) * last);
  };
  const onDown = (event: PointerEvent) => {
    track.current!.setPointerCapture(event.pointerId);
    isScrubbing.value = true;
    seen.begin(placeOf(event));
  };
  const onMove = (event: PointerEvent) => {
    pointed.value = placeOf(event);
    if (isScrubbing.value) seen.begin(pointed.value);
  };
  const onUp = () => {
    isScrubbing.value = false;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const by = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const { columns } = metrics.value;
    const rowsAway = ({ first }: Month) => (Math.floor(first / columns) - Math.floor(firstSeen.value / columns)) * by;
    const onTheWay = by > 0 ? months.value : months.value.toReversed();
    const next = onTheWay.find((month) => rowsAway(month) > 0);
    if (next !== undefined) seen.begin(next.first);
  };
  const share = (place: number) => `${(Math.min(last, place) / last) * 100}%`;
  const marked = pointed.value === undefined || !isScrubbing.value ? firstSeen.value : pointed.value;
  return (
    <div
      ref={track}
      class={`scrubber${isScrubbing.value ? ' is-scrubbing' : ''}${isMoving.value ? ' is-moving' : ''}`}
      role="slider"
      tabIndex={0}
      aria-orientation="vertical"
      aria-label={texts.scrubber}
      aria-valuemin={1}
      aria-valuemax={total.value}
      aria-valuenow={firstSeen.value + 1}
      aria-valuetext={monthText(layout, firstSeen.value)}
      onPointerDown={onDown}
      onPointerMove={onMove}
      onPointerUp={onUp}
      onPointerCancel={onUp}
      onPointerLeave={() => (pointed.value = undefined)}
      onKeyDown={onKeyDown}
    >
      {labelled(months.value, last, track.current?.clientHeight ?? 0).map(({ name, first, isLabelled }) => (
        <span key={name} class="scrubber-month" style={{ top: share(first) }}>
          {isLabelled && <span>{texts.month(name)}</span>}
        </span>
      ))}
      <span class="scrubber-mark" style={{ top: share(marked) }} />
      {pointed.value !== undefined && (
        <span class="scrubber-pointed" style={{ top: share(pointed.value) }}>
          {monthText(layout, Math.min(total.value - 1, pointed.value))}
        </span>
      )}
    </div>
  );
}

/** Only labels that have room. */
function labelled(months: readonly Month[], last: number, heightPx: number) {
  let freePx = 0;
  return months
    .filter(({ name }) => name !== '')
    .map((month) => {
      const px = (Math.min(last, month.first) / last) * heightPx;
      const isLabelled = px >= freePx;
      if (isLabelled) freePx = px + LABEL_PX;
      return { ...month, isLabelled };
    });
}

function monthText(layout: Layout, place: number): string {
  const { name } = dayAt(layout, place);
  return name === '' ? '' : texts.month(name.slice(0, 7));
}
