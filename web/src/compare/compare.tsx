/** Two images side by side, zoomed and moved together, with what differs between them. */
import { useSignal } from '@preact/signals';
import { Scan, X } from 'lucide';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { CallError } from '../api/call.ts';
import type { ImageJson } from '../api/contract.ts';
import { rowOf } from '../api/images.ts';
import { IconButton } from '../app/icon-button.tsx';
import { Notices } from '../app/notices.tsx';
import { Picture } from '../lightbox/picture.tsx';
import { Zoom } from '../lightbox/zoom.ts';
import { detailsOf, readDetails } from '../panel/details.ts';
import { compared, stopComparing, turnRight } from '../state/compare.ts';
import { useKeys } from '../state/keys.ts';
import { texts } from '../texts.ts';
import { Differences } from './differences.tsx';

export function Compare() {
  const dialog = useRef<HTMLDialogElement>(null);
  const [leftZoom, rightZoom] = useMemo(() => {
    const zoom = new Zoom();
    return [zoom, new Zoom(zoom)];
  }, []);
  useEffect(() => {
    dialog.current!.showModal();
    dialog.current!.focus();
  }, []);
  useKeys(
    {
      left: () => turnRight(-1),
      right: () => turnRight(1),
      zoom: () => leftZoom.toggle(),
      compare: stopComparing,
      close: stopComparing,
    },
    { isModal: true },
  );
  const { left = '', right = '' } = compared.value ?? {};
  const [leftImage, rightImage] = [useImage(left), useImage(right)];
  return (
    <dialog
      ref={dialog}
      class="lightbox compare"
      tabIndex={-1}
      aria-label={texts.compare.title}
      onCancel={(event) => {
        event.preventDefault();
        stopComparing();
      }}
    >
      <div class="lightbox-stage">
        <header class="lightbox-bar">
          <IconButton icon={X} label={texts.close} onClick={stopComparing} />
          <span class="secondary">{texts.compare.hint}</span>
          <IconButton
            icon={Scan}
            label={texts.image.zoom}
            aria-pressed={!leftZoom.isFitted}
            onClick={() => leftZoom.toggle()}
          />
        </header>
        <div class="compare-pictures">
          <Side {...leftImage} zoom={leftZoom} />
          <Side {...rightImage} zoom={rightZoom} />
        </div>
        {leftImage.image && rightImage.image && <Differences left={leftImage.image} right={rightImage.image} />}
      </div>
      <Notices />
    </dialog>
  );
}

interface Read {
  image: ImageJson | undefined;
  problem: string;
}

/** `id` as rows have it. */
function useImage(id: string): Read {
  const problem = useSignal('');
  const slash = id.indexOf('/');
  const named = { id, provider: id.slice(0, slash), filename: id.slice(slash + 1) };
  useEffect(() => {
    const abort = new AbortController();
    problem.value = '';
    readDetails(named, abort.signal).catch((error) => {
      if (!(error instanceof CallError)) return;
      problem.value = error.status === 404 ? texts.image.missing : texts.problems.other(error.message);
    });
    return () => abort.abort();
  }, [id]);
  return { image: detailsOf(named), problem: problem.value };
}

function Side({ image, problem, zoom }: Read & { zoom: Zoom }) {
  if (image === undefined) return <p class="picture">{problem}</p>;
  const row = rowOf(image);
  return <Picture key={row.id} row={row} zoom={zoom} />;
}
