/** Follows the store while somebody looks: new images enter at the top by themselves; elsewhere it is said how many came. */
import { computed, effect, signal } from '@preact/signals';
import { CallError } from '../api/call.ts';
import { type Counts, countImages } from '../api/stats.ts';
import { compared } from './compare.ts';
import { newestAsked } from './focus.ts';
import { isLoading, problem, reload, shown } from './gallery.ts';
import { gone } from './gone.ts';
import { isOpen } from './open.ts';
import { isSelecting } from './selection.ts';
import { filtersOf } from './url.ts';

const EVERY_MS = 3000;

/** How many came since what is shown was counted. */
export const arrived = signal(0);
/** Told by the grid. */
export const isAtTop = signal(true);

/** Of what matches, when it was last asked for. */
let seen = { count: 0, newest: 0 };

/** Somebody is at images that must not move: an open one, selected ones, deleted ones that may come back. */
const isHeld = computed(() => isOpen.value || compared.value !== undefined || isSelecting.value || gone.value.size > 0);
/** Nothing that somebody looks at moves by itself. */
const entersByItself = computed(() => isAtTop.value && !isHeld.value && shown.value?.selector.order === 'newest');

/** Begins to ask every 3 s while the page is visible. */
export function startLive(): void {
  effect(() => {
    if (shown.value !== undefined) seen = seenIn(shown.value.counts);
    arrived.value = 0;
  });
  effect(() => {
    if (arrived.value > 0 && entersByItself.value) void reload();
  });
  document.addEventListener('visibilitychange', () => void lookAtOnce());
  const lookAgain = () => setTimeout(() => void look().finally(lookAgain), EVERY_MS);
  lookAgain();
}

/** Shows what came, where it is. */
export async function showArrived(): Promise<void> {
  await reload();
  newestAsked.value += 1;
}

/** After something was saved here: it enters, or is told of, at once. */
export async function lookNow(): Promise<void> {
  if (entersByItself.peek()) await reload();
  else await look();
}

/** What this page itself saves, deletes or brings back is no news. */
export function expectChange(count: number): void {
  seen = { ...seen, count: seen.count + count };
}

/** Another tab may have been unlocked meanwhile, and this one with it. */
async function lookAtOnce(): Promise<void> {
  if (!document.hidden && problem.peek()?.isLocked) await reload();
  else await look();
}

async function look(): Promise<void> {
  // Who is locked out is asked for a token, not over and over.
  if (document.hidden || isLoading.peek() || problem.peek()?.isLocked) return;
  const before = shown.peek();
  if (before === undefined) {
    if (problem.peek()?.isOffline) await reload();
    return;
  }
  try {
    const counts = await countImages(filtersOf(before.selector), {});
    if (shown.peek() !== before) return;
    if (problem.peek()?.isOffline) problem.value = undefined;
    const now = seenIn(counts);
    // As many may have gone as came: then the newest tells of one. What is counted in part tells nothing by its number.
    const more = counts.isPartial ? 0 : now.count - seen.count;
    arrived.value += Math.max(more, now.newest > seen.newest ? 1 : 0);
    seen = now;
  } catch (error) {
    if (error instanceof CallError && (error.isOffline || error.isLocked)) problem.value = error;
  }
}

function seenIn({ matching = 0, newest }: Counts): typeof seen {
  return { count: matching, newest };
}
