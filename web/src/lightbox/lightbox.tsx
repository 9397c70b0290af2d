/** One image over the whole page. */
import { ChevronLeft, ChevronRight, Download, Info, X } from 'lucide';
import { useEffect, useRef } from 'preact/hooks';
import { originalUrl, previewUrl } from '../api/images.ts';
import { Icon } from '../app/icon.tsx';
import { IconButton } from '../app/icon-button.tsx';
import { Panel, togglePanel } from '../panel/side-panel.tsx';
import { rowAt, total } from '../state/gallery.ts';
import { useKeys } from '../state/keys.ts';
import { closeImage, openIndex, openNeighbour, openProblem, openRow } from '../state/open.ts';
import { settings } from '../state/settings.ts';
import { texts } from '../texts.ts';
import { Picture } from './picture.tsx';

export function Lightbox() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    dialog.current!.showModal();
    // Not its first button: keys act on the image.
    dialog.current!.focus();
    return () => before?.focus({ preventScroll: true });
  }, []);
  useKeys(
    {
      left: () => openNeighbour(-1),
      right: () => openNeighbour(1),
      panel: togglePanel,
      close: closeImage,
    },
    { isModal: true },
  );
  usePreloaded();
  const row = openRow.value;
  const index = openIndex.value;
  return (
    <dialog
      ref={dialog}
      class="lightbox"
      tabIndex={-1}
      aria-label={texts.image.dialog}
      onCancel={(event) => {
        event.preventDefault();
        closeImage();
      }}
    >
      <div class="lightbox-stage">
        <header class="lightbox-bar">
          <IconButton icon={X} label={texts.close} onClick={closeImage} />
          <span class="secondary">{index !== undefined && texts.image.place(index, total.value)}</span>
          {row && (
            <a
              class="icon-button"
              href={originalUrl(row, { download: '1' })}
              aria-label={texts.image.download}
              title={texts.image.download}
            >
              <Icon of={Download} />
            </a>
          )}
          <IconButton
            icon={Info}
            label={texts.image.panel}
            aria-pressed={settings.value.isPanelOpen}
            onClick={togglePanel}
          />
        </header>
        {row ? <Picture key={row.id} row={row} /> : <Missing />}
        {index !== undefined && index > 0 && (
          <button
            type="button"
            class="lightbox-step is-previous"
            aria-label={texts.image.previous}
            onClick={() => openNeighbour(-1)}
          >
            <Icon of={ChevronLeft} />
          </button>
        )}
        {index !== undefined && index < total.value - 1 && (
          <button
            type="button"
            class="lightbox-step is-next"
            aria-label={texts.image.next}
            onClick={() => openNeighbour(1)}
          >
            <Icon of={ChevronRight} />
          </button>
        )}
      </div>
      {settings.value.isPanelOpen && <Panel row={row} />}
    </dialog>
  );
}

function Missing() {
  if (openProblem.value === undefined) return null;
  return <p class="placeholder">{texts.image.missing}</p>;
}

/** The neighbours are there before they are turned to. */
function usePreloaded(): void {
  const index = openIndex.value;
  useEffect(() => {
    if (index === undefined) return;
    const images = [index + 1, index - 1].flatMap((at) => {
      const row = at < 0 || at >= total.value ? undefined : rowAt(at);
      return row === undefined ? [] : [Object.assign(new Image(), { src: previewUrl(row, 1440) })];
    });
    return () => {
      for (const image of images) image.removeAttribute('src');
    };
  }, [index]);
}
