/** Keys and dialogs of keeping and culling, in the grid. */
import { CopyButton } from '../app/copy-button.tsx';
import { Dialog } from '../app/dialog.tsx';
import { lazy } from '../app/lazy.tsx';
import { compare, compareAt } from '../state/compare.ts';
import { focusAsked, focusedIndex } from '../state/focus.ts';
import { rowAt } from '../state/gallery.ts';
import { gone } from '../state/gone.ts';
import { useKeys } from '../state/keys.ts';
import { clearSelection, isSelecting, selected, selectTo, toggleAt } from '../state/selection.ts';
import { may } from '../state/session.ts';
import { view } from '../state/view.ts';
import { texts } from '../texts.ts';
import { deleteRows, deleteSelected, nextLeft } from './delete.ts';
import { command } from './download.ts';
import { togglePins } from './pin.ts';
import { PlanQuestion } from './plan.tsx';
import { Tags } from './tags.tsx';
import { undoLast } from './undo.ts';

const Trash = lazy(() => import('./trash.tsx').then((module) => module.Trash));
const Cleanup = lazy(() => import('./cleanup.tsx').then((module) => module.Cleanup));

export function Cull() {
  const here = () => focusedIndex.value;
  useKeys({
    select: () => here() >= 0 && toggleAt(here()),
    selectRange: () => here() >= 0 && void selectTo(here()),
    close: () => isSelecting.value && clearSelection(),
    pin: () => may('write') && void togglePins(),
    remove: () => may('delete') && removeHere(),
    undo: () => void undoLast(),
    compare: compareHere,
  });
  return (
    <>
      <PlanQuestion />
      <Tags />
      <ExportCommand />
      {view.value.isTrash && <Trash />}
      {view.value.isCleanup && <Cleanup />}
    </>
  );
}

/** Deletes what is selected, or the image with the focus, which moves on. */
function removeHere(): unknown {
  if (isSelecting.value) return void deleteSelected();
  const index = focusedIndex.value;
  const row = index < 0 ? undefined : rowAt(index);
  if (row === undefined || gone.value.has(row.id)) return false;
  void deleteRows([row]);
  focusAsked.value = nextLeft(index) ?? index;
}

function compareHere(): unknown {
  const { isAll, rows } = selected.value;
  const [left, right] = rows.values();
  if (!isAll && rows.size === 2) return compare(left!, right!);
  return focusedIndex.value >= 0 && compareAt(focusedIndex.value);
}

/** In place of an archive that would be too large. */
function ExportCommand() {
  const { cull } = texts;
  if (command.value === undefined) return null;
  return (
    <Dialog title={cull.tooMuch} onClose={() => (command.value = undefined)}>
      <p>{cull.tooMuchHint}</p>
      <p class="command">
        <code>{command.value}</code>
        <CopyButton text={command.value} />
      </p>
    </Dialog>
  );
}
