/** The bar over the grid while images are selected: how many, and what can be done with them. */
import { Columns2, Download, Pin, Tag, Trash2, X } from 'lucide';
import { IconButton } from '../app/icon-button.tsx';
import { compare } from '../state/compare.ts';
import { shown } from '../state/gallery.ts';
import { clearSelection, selectAll, selected, selectedCount } from '../state/selection.ts';
import { may } from '../state/session.ts';
import { texts } from '../texts.ts';
import { deleteSelected, isDeletable } from './delete.ts';
import { download } from './download.ts';
import { togglePins } from './pin.ts';
import { openTags } from './tags.tsx';
import { MAX_EACH } from './targets.ts';

export function SelectionBar() {
  const count = selectedCount.value;
  if (count === 0) return null;
  const { cull } = texts;
  const { isAll, rows } = selected.value;
  const matching = shown.value?.counts.matching ?? 0;
  const isFew = count <= MAX_EACH;
  const [left, right] = rows.values();
  return (
    <section class="selection-bar" aria-label={cull.selection}>
      <IconButton icon={X} label={cull.clear} onClick={clearSelection} />
      <output>{cull.selected(count)}</output>
      {!isAll && count < matching && (
        <button type="button" class="link" onClick={selectAll}>
          {cull.selectAll(matching)}
        </button>
      )}
      <span class="selection-actions">
        {!isAll && count === 2 && (
          <IconButton icon={Columns2} label={cull.compare} onClick={() => compare(left!, right!)} />
        )}
        {may('write') && (
          <>
            <IconButton icon={Pin} label={cull.pin} disabled={!isFew} onClick={() => void togglePins()} />
            <IconButton icon={Tag} label={cull.tag} disabled={!isFew} onClick={openTags} />
          </>
        )}
        <IconButton icon={Download} label={cull.download} onClick={() => void download()} />
        {may('delete') && (
          <IconButton
            icon={Trash2}
            label={cull.remove}
            disabled={!isDeletable()}
            onClick={() => void deleteSelected()}
          />
        )}
      </span>
    </section>
  );
}
