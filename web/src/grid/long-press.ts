/** A finger that stays on an image selects it, where a mouse has keys and a check to click. */
import { toggleAt } from '../state/selection.ts';

const HELD_MS = 450;
const MOVED_PX = 10;

export function onPointerDown(event: PointerEvent): void {
  const cell = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-index]') : null;
  if (event.pointerType !== 'touch' || cell === null) return;
  const ended = new AbortController();
  const end = () => {
    clearTimeout(timer);
    ended.abort();
  };
  const timer = setTimeout(() => {
    toggleAt(Number(cell.dataset.index));
    // The click that its end makes would open, or take back what was selected.
    addEventListener('click', stop, { capture: true, once: true });
    setTimeout(() => removeEventListener('click', stop, { capture: true }), HELD_MS);
    end();
  }, HELD_MS);
  const { signal } = ended;
  const onMove = ({ clientX, clientY }: PointerEvent) => {
    if (Math.hypot(clientX - event.clientX, clientY - event.clientY) > MOVED_PX) end();
  };
  addEventListener('pointermove', onMove, { signal });
  for (const type of ['pointerup', 'pointercancel'] as const) addEventListener(type, end, { signal });
}

/** Of a finger it would cover the images; a mouse has it as everywhere. */
export function onContextMenu(event: MouseEvent): void {
  if ((event as PointerEvent).pointerType === 'touch') event.preventDefault();
}

function stop(event: Event): void {
  event.preventDefault();
  event.stopPropagation();
}
