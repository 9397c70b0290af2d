/** The panel beside the grid: of the image that the keyboard is at. Its content loads when it is first opened. */
import { lazy } from '../app/lazy.tsx';
import { focusedIndex } from '../state/focus.ts';
import { rowAt } from '../state/gallery.ts';
import { useKeys } from '../state/keys.ts';
import { isOpen } from '../state/open.ts';
import { changeSettings, settings } from '../state/settings.ts';

export const Panel = lazy(() => import('./panel.tsx').then((module) => module.Panel));

export function togglePanel(): void {
  changeSettings({ isPanelOpen: !settings.value.isPanelOpen });
}

export function SidePanel() {
  useKeys({ panel: togglePanel });
  if (!settings.value.isPanelOpen || isOpen.value) return null;
  const row = focusedIndex.value < 0 ? undefined : rowAt(focusedIndex.value);
  return <Panel row={row} />;
}
