/** Wheel, mouse and fingers on a picture: they zoom and move it; one finger on a whole picture turns or closes it. */
import type { Point, Zoom } from './zoom.ts';

export interface Swipes {
  /** Follows the finger, in px; zero at its end. */
  onDrag(moved: Point): void;
  onTurn(by: 1 | -1): void;
  onClose(): void;
}

const TURN_PX = 56;
const CLOSE_PX = 88;
const TAP_PX = 8;
const DOUBLE_TAP_MS = 300;
const WHEEL_STEP = 0.0022;
/** A line and a page of a wheel, in px. */
const WHEEL_UNITS = [1, 16, 400];

/** Returns what ends it. `frame` must have `touch-action: none`. */
export function listenForGestures(frame: HTMLElement, zoom: Zoom, swipes?: Swipes): () => void {
  const ended = new AbortController();
  const fingers = new Map<number, Point>();
  let began: Point = { x: 0, y: 0 };
  let isSwipe = false;
  let lastTap = { ms: 0, x: 0, y: 0 };

  const fromCentre = ({ x, y }: Point): Point => {
    const { left, top, width, height } = frame.getBoundingClientRect();
    return { x: x - left - width / 2, y: y - top - height / 2 };
  };
  const pointOf = ({ clientX: x, clientY: y }: MouseEvent): Point => ({ x, y });

  const onDown = (event: PointerEvent) => {
    if (event.button !== 0 || (event.target as Element).closest('button, a')) return;
    frame.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, pointOf(event));
    began = pointOf(event);
    isSwipe = event.pointerType === 'touch' && fingers.size === 1 && zoom.isFitted;
    if (!isSwipe) swipes?.onDrag({ x: 0, y: 0 });
  };
  const onMove = (event: PointerEvent) => {
    const before = fingers.get(event.pointerId);
    if (before === undefined) return;
    const now = pointOf(event);
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    fingers.set(event.pointerId, now);
    if (isSwipe) swipes?.onDrag({ x: now.x - began.x, y: Math.max(0, now.y - began.y) });
    else if (other === undefined) zoom.panBy(now.x - before.x, now.y - before.y);
    else pinch(before, now, other);
  };
  const pinch = (before: Point, now: Point, other: Point) => {
    const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
    zoom.panBy((now.x - before.x) / 2, (now.y - before.y) / 2);
    zoom.zoomBy(distance(now, other) / Math.max(1, distance(before, other)), fromCentre(middle));
  };
  const onUp = (event: PointerEvent) => {
    if (!fingers.delete(event.pointerId)) return;
    const moved = { x: event.clientX - began.x, y: event.clientY - began.y };
    if (event.pointerType === 'touch' && Math.hypot(moved.x, moved.y) < TAP_PX) onTap(event);
    if (!isSwipe) return;
    isSwipe = false;
    swipes?.onDrag({ x: 0, y: 0 });
    if (event.type === 'pointercancel') return;
    if (Math.abs(moved.x) > TURN_PX && Math.abs(moved.x) > Math.abs(moved.y)) swipes?.onTurn(moved.x < 0 ? 1 : -1);
    else if (moved.y > CLOSE_PX && moved.y > Math.abs(moved.x)) swipes?.onClose();
  };
  const onTap = (event: PointerEvent) => {
    const { x, y } = pointOf(event);
    const isSecond = event.timeStamp - lastTap.ms < DOUBLE_TAP_MS && distance(lastTap, { x, y }) < 4 * TAP_PX;
    lastTap = isSecond ? { ms: 0, x, y } : { ms: event.timeStamp, x, y };
    if (isSecond) zoom.toggle(fromCentre({ x, y }));
  };
  const onWheel = (event: WheelEvent) => {
    event.preventDefault();
    const px = event.deltaY * WHEEL_UNITS[event.deltaMode]!;
    zoom.zoomBy(Math.exp(-px * WHEEL_STEP * (event.ctrlKey ? 4 : 1)), fromCentre(pointOf(event)));
  };

  const { signal } = ended;
  frame.addEventListener('pointerdown', onDown, { signal });
  frame.addEventListener('pointermove', onMove, { signal });
  frame.addEventListener('pointerup', onUp, { signal });
  frame.addEventListener('pointercancel', onUp, { signal });
  frame.addEventListener('wheel', onWheel, { signal, passive: false });
  // Fingers tap twice instead.
  const onDouble = (event: MouseEvent) => {
    if ((event as PointerEvent).pointerType !== 'touch') zoom.toggle(fromCentre(pointOf(event)));
  };
  frame.addEventListener('dblclick', onDouble, { signal });
  return () => ended.abort();
}

function distance(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
