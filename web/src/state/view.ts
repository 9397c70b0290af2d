/** The view that the address bar holds: every part of the page reads it here and changes it here. */
import { computed, signal } from '@preact/signals';
import { ROOT } from '../api/root.ts';
import { EMPTY_VIEW, formatView, parseView, type Selector, type View } from './url.ts';

const current = signal(viewOfAddress());

/** Replaced whole; never changed in place. */
export const view = computed(() => current.value);

/** What selects the images and their order: the same value as long as nothing of it changes. */
export const selector = computed((): Selector => {
  const { query, provider, model, category, tags, pinned, since, until, order } = current.value;
  return stable({ query, provider, model, category, tags, pinned, since, until, order });
});

let last: Selector = EMPTY_VIEW;
function stable(next: Selector): Selector {
  if (JSON.stringify(next) !== JSON.stringify(last)) last = next;
  return last;
}

/** `push` makes a step that Back takes back. */
export function changeView(change: Partial<View>, step: 'push' | 'replace' = 'push'): void {
  const next = { ...current.value, ...change };
  const address = ROOT.href + formatView(next);
  if (address !== location.href) {
    if (step === 'push') history.pushState({ isOurs: true }, '', address);
    else history.replaceState(history.state, '', address);
  }
  current.value = next;
}

/** Takes the last step back where it was ours, as the Back of the browser does; else changes to what it would have been. */
export function stepBack(otherwise: Partial<View>): void {
  if ((history.state as { isOurs?: boolean } | null)?.isOurs) history.back();
  else changeView(otherwise, 'replace');
}

/** Removes all that narrows the view. */
export function clearFilters(): void {
  const { order, density, provider } = current.value;
  changeView({ ...EMPTY_VIEW, order, density, provider });
}

function viewOfAddress(): View {
  return parseView(location.pathname.slice(ROOT.pathname.length), location.search);
}

addEventListener('popstate', () => {
  current.value = viewOfAddress();
});
