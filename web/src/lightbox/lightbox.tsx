/** One image over the whole page. */
import { useSignal, useSignalEffect } from '@preact/signals';
import { ChevronLeft, ChevronRight, Columns2, Download, Info, Pin, Scan, Tag, Trash2, X } from 'lucide';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { originalUrl, previewUrl, type Row } from '../api/images.ts';
import { Icon } from '../app/icon.tsx';
import { IconButton } from '../app/icon-button.tsx';
import { Notices } from '../app/notices.tsx';
import { deleteRows, nextLeft } from '../cull/delete.ts';
import { togglePins } from '../cull/pin.ts';
import { openTags } from '../cull/tags.tsx';
import { undoLast } from '../cull/undo.ts';
import { Panel, togglePanel } from '../panel/side-panel.tsx';
import { compareOpen } from '../state/compare.ts';
import { rowAt, total } from '../state/gallery.ts';
import { gone } from '../state/gone.ts';
import { useKeys } from '../state/keys.ts';
import { closeImage, openAt, openIndex, openNeighbour, openProblem, openRow } from '../state/open.ts';
import { may } from '../state/session.ts';
import { settings } from '../state/settings.ts';
import { view } from '../state/view.ts';
import { texts } from '../texts.ts';
import type { Swipes } from './gestures.ts';
import { Picture } from './picture.tsx';
import { Zoom } from './zoom.ts';

export function Lightbox() {
  const dialog = useRef<HTMLDialogElement>(null);
  const zoom = useMemo(() => new Zoom(), []);
  const dragged = useSignal({ x: 0, y: 0 });
  const swipes = useMemo(
    (): Swipes => ({
      onDrag: (moved) => (dragged.value = moved),
      onTurn: (by) => openNeighbour(by),
      onClose: closeImage,
    }),
    [],
  );
  useEffect(() => {
    dialog.current!.showModal();
    // Not its first button: keys act on the image.
    dialog.current!.focus();
  }, []);
  useSignalEffect(() => {
    view.value.image;
    zoom.reset();
  });
  useKeys(
    {
      left: () => openNeighbour(-1),
      right: () => openNeighbour(1),
      panel: togglePanel,
      zoom: () => zoom.toggle(),
      compare: compareOpen,
      pin: () => may('write') && void togglePins(),
      remove: () => may('delete') && removeOpen(),
      undo: () => void undoLast(),
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
      aria-label={row ? texts.alt(row) : texts.image.dialog}
      onCancel={(event) => {
        event.preventDefault();
        closeImage();
      }}
    >
      <div class="lightbox-stage">
        <header class="lightbox-bar">
          <IconButton icon={X} label={texts.close} onClick={closeImage} />
          <span class="secondary">{index !== undefined && texts.image.place(index, total.value)}</span>
          {row && <Actions row={row} zoom={zoom} />}
        </header>
        {row ? <Picture key={row.id} row={row} zoom={zoom} swipes={swipes} dragged={dragged.value} /> : <Missing />}
        {index !== undefined && <Steps index={index} />}
      </div>
      {settings.value.isPanelOpen && <Panel row={row} />}
      <Notices />
    </dialog>
  );
}

/** Deletes the open image, and turns to the next one that is left. */
function removeOpen(): unknown {
  const row = openRow.value;
  if (row === undefined || gone.value.has(row.id)) return false;
  const index = openIndex.value;
  void deleteRows([row]);
  const next = index === undefined ? undefined : nextLeft(index);
  if (next === undefined) closeImage();
  else openAt(next);
}

/** What can be done with the image; at the right of the bar. */
function Actions({ row, zoom }: { row: Row; zoom: Zoom }) {
  const { image } = texts;
  return (
    <>
      {may('write') && (
        <>
          <IconButton icon={Pin} label={image.pin} aria-pressed={row.pinned} onClick={() => void togglePins()} />
          <IconButton icon={Tag} label={texts.cull.tag} onClick={openTags} />
        </>
      )}
      {may('delete') && (
        <IconButton icon={Trash2} label={texts.cull.remove} disabled={gone.value.has(row.id)} onClick={removeOpen} />
      )}
      <IconButton icon={Columns2} label={image.compare} onClick={compareOpen} />
      <IconButton
        data-only="wide"
        icon={Scan}
        label={image.zoom}
        aria-pressed={!zoom.isFitted}
        onClick={() => zoom.toggle()}
      />
      <a
        class="icon-button"
        href={originalUrl(row, { download: '1' })}
        data-original
        aria-label={image.download}
        title={image.download}
      >
        <Icon of={Download} />
      </a>
      <IconButton icon={Info} label={image.panel} aria-pressed={settings.value.isPanelOpen} onClick={togglePanel} />
    </>
  );
}

function Steps({ index }: { index: number }) {
  const { previous, next } = texts.image;
  return (
    <>
      {index > 0 && (
        <button type="button" class="lightbox-step" aria-label={previous} onClick={() => openNeighbour(-1)}>
          <Icon of={ChevronLeft} />
        </button>
      )}
      {index < total.value - 1 && (
        <button type="button" class="lightbox-step is-next" aria-label={next} onClick={() => openNeighbour(1)}>
          <Icon of={ChevronRight} />
        </button>
      )}
    </>
  );
}

function Missing() {
  if (openProblem.value === undefined) return null;
  const { status, message } = openProblem.value;
  return <p class="placeholder">{status === 404 ? texts.image.missing : texts.problems.other(message)}</p>;
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
