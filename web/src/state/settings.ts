/** What a reader prefers, kept by the browser: density, fit, theme, whether the panel is open. */
import { computed, effect, signal } from '@preact/signals';
import type { Density } from './url.ts';
import { view } from './view.ts';

export type Theme = 'system' | 'dark' | 'light';

interface Settings {
  density: Density;
  /** Whether cells show whole pictures instead of filled squares. */
  isContained: boolean;
  theme: Theme;
  isPanelOpen: boolean;
}

const KEY = 'image-storage';
const DEFAULTS: Settings = {
  density: 'medium',
  isContained: false,
  theme: 'system',
  isPanelOpen: false,
};

export const settings = signal<Settings>({ ...DEFAULTS, ...stored() });
/** Never kept: who opens the page again wants to see. */
export const isBlurred = signal(false);

/** A link has its own. */
export const density = computed((): Density => view.value.density ?? settings.value.density);

export function changeSettings(change: Partial<Settings>): void {
  settings.value = { ...settings.value, ...change };
  try {
    localStorage.setItem(KEY, JSON.stringify(settings.value));
  } catch {
    // Without storage it holds until the page is left.
  }
}

function stored(): Partial<Settings> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}');
  } catch {
    return {};
  }
}

/** Begins to show theme and blur on the document. */
export function startSettings(): void {
  effect(() => {
    const { theme } = settings.value;
    document.documentElement.style.colorScheme = theme === 'system' ? '' : theme;
  });
  effect(() => {
    document.documentElement.classList.toggle('is-blurred', isBlurred.value);
  });
}
