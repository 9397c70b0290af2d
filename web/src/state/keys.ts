/** The keys of the page: which there are, and what they do where somebody is. */
import { useLayoutEffect, useRef } from 'preact/hooks';
import { texts } from '../texts.ts';

/** Where a key is told of in the overview. */
export type KeyArea = 'everywhere' | 'grid' | 'image';

interface KeyEntry {
  /** As `KeyboardEvent.key` has them. */
  keys: readonly string[];
  area: KeyArea;
  /** Whether a key that is held acts on and on. */
  isRepeated?: boolean;
}

/** Every key; `1` to `5` stay free. What each does is in the texts. */
export const KEYS = {
  search: { keys: ['/'], area: 'everywhere' },
  panel: { keys: ['i'], area: 'everywhere' },
  blur: { keys: ['b'], area: 'everywhere' },
  undo: { keys: ['u'], area: 'everywhere' },
  help: { keys: ['?'], area: 'everywhere' },
  close: { keys: ['Escape'], area: 'everywhere' },
  left: { keys: ['ArrowLeft'], area: 'grid', isRepeated: true },
  right: { keys: ['ArrowRight'], area: 'grid', isRepeated: true },
  up: { keys: ['ArrowUp'], area: 'grid', isRepeated: true },
  down: { keys: ['ArrowDown'], area: 'grid', isRepeated: true },
  pageUp: { keys: ['PageUp'], area: 'grid', isRepeated: true },
  pageDown: { keys: ['PageDown'], area: 'grid', isRepeated: true },
  first: { keys: ['Home'], area: 'grid' },
  last: { keys: ['End'], area: 'grid' },
  open: { keys: ['Enter'], area: 'grid' },
  fit: { keys: ['f'], area: 'grid' },
  select: { keys: ['x'], area: 'grid' },
  selectRange: { keys: ['X'], area: 'grid' },
  compare: { keys: ['c'], area: 'image' },
  pin: { keys: ['p'], area: 'image' },
  remove: { keys: ['Delete', 'Backspace'], area: 'image' },
  zoom: { keys: [' '], area: 'image' },
} as const satisfies Record<string, KeyEntry>;

export type KeyName = keyof typeof KEYS;
/** What keys do; `false`: nothing, and whoever stands below is asked. */
export type KeyActions = Partial<Record<KeyName, (event: KeyboardEvent) => unknown>>;

interface Layer {
  actions: KeyActions;
  /** Whether nobody below it is asked, as below a dialog. */
  isModal: boolean;
}

const layers: Layer[] = [];

/** The last one that came is asked first; it goes with its component. */
export function useKeys(actions: KeyActions, { isModal = false } = {}): void {
  const layer = useRef<Layer>({ actions, isModal });
  layer.current.actions = actions;
  // A key may come before the first picture does.
  useLayoutEffect(() => {
    layers.push(layer.current);
    return () => void layers.splice(layers.indexOf(layer.current), 1);
  }, []);
}

/** Begins to listen. */
export function startKeys(): void {
  addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (isTyping(event)) return;
    const name = nameOf(event.key);
    if (name === undefined) return;
    const entry: KeyEntry = KEYS[name];
    if (event.repeat && !entry.isRepeated) return event.preventDefault();
    for (const { actions, isModal } of layers.toReversed()) {
      const action = actions[name];
      if (action !== undefined && action(event) !== false) return event.preventDefault();
      if (isModal) return;
    }
  });
}

function nameOf(key: string): KeyName | undefined {
  const names = Object.keys(KEYS) as KeyName[];
  return names.find((name) => (KEYS[name].keys as readonly string[]).includes(key));
}

/** Keys are off there; what is typed must not act on images. Space and Enter belong to whatever has the focus. */
function isTyping({ target, key }: KeyboardEvent): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.matches('input[type=radio]')) return key === ' ' || key.startsWith('Arrow');
  if (target.isContentEditable || target.matches('input:not([type=checkbox]), textarea, select')) return true;
  return (key === ' ' || key === 'Enter') && target.closest('button, a, summary, [role=menuitem]') !== null;
}

/** As people read it. */
export function labelOf(name: KeyName): string {
  const [key] = KEYS[name].keys;
  return (texts.keyLabels as Record<string, string>)[key] ?? key;
}
