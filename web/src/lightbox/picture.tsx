/** A picture that fills its place: the preview that is there, then a sharper one, then the original where that shows. */
import { useComputed, useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { originalUrl, previewUrl, type Row } from '../api/images.ts';
import { hashUrl } from '../grid/thumb.tsx';
import { inGrid, isStandIn } from '../state/previews.ts';
import { texts } from '../texts.ts';
import { listenForGestures, type Swipes } from './gestures.ts';
import type { Zoom } from './zoom.ts';

const LARGEST_PREVIEW = 1440;

interface PictureProps {
  row: Row;
  zoom: Zoom;
  swipes?: Swipes;
  /** Where a finger has moved it. */
  dragged?: { x: number; y: number };
}

export function Picture({ row, zoom, swipes, dragged = { x: 0, y: 0 } }: PictureProps) {
  const frame = useRef<HTMLDivElement>(null);
  const isBroken = useSignal(false);
  const isFramed = useSignal(false);
  const first = useRef(inGrid.width);
  /** The sharpest of those that have come; only it is seen, since it may be transparent. */
  const seen = useSignal(-1);
  /** There is no preview. */
  const isStoodFor = useSignal(false);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(([entry]) => {
      zoom.fit(entry!.contentRect, sizeOf(row));
      isFramed.value = true;
    });
    observer.observe(frame.current!);
    return () => observer.disconnect();
  }, [row.id]);
  useLayoutEffect(() => listenForGestures(frame.current!, zoom, swipes), [swipes]);
  // Once it was wanted it stays: what is sharp does not become blurred again.
  const wasWanted = useRef(false);
  const wantsOriginal = useComputed(() => {
    isFramed.value;
    const shownPx = zoom.fitted.width * zoom.transform.value.scale * devicePixelRatio;
    wasWanted.current ||= isStoodFor.value || (row.width > LARGEST_PREVIEW && shownPx > LARGEST_PREVIEW);
    return wasWanted.current;
  });
  const { scale, x, y } = zoom.transform.value;
  const layers = [previewUrl(row, first.current), previewUrl(row, LARGEST_PREVIEW)];
  if (wantsOriginal.value) layers.push(originalUrl(row));
  return (
    <div ref={frame} class={scale > 1 ? 'picture is-zoomed' : 'picture'}>
      {isBroken.value && <p class="placeholder">{texts.image.broken}</p>}
      {isFramed.value && (
        <div
          class="picture-layers"
          style={{
            width: `${zoom.fitted.width}px`,
            height: `${zoom.fitted.height}px`,
            transform: `translate(${x + dragged.x}px, ${y + dragged.y}px) scale(${scale})`,
            backgroundImage: seen.value < 0 && row.thumbHash !== '' ? `url(${hashUrl(row.thumbHash)})` : 'none',
          }}
        >
          {layers.map((url, at) => (
            <img
              key={url}
              src={url}
              alt={at === 0 ? texts.alt(row) : ''}
              draggable={false}
              class={seen.value === at ? 'is-loaded' : ''}
              onLoad={({ currentTarget }) => {
                if (isStandIn(currentTarget, row)) isStoodFor.value = true;
                else void drawn(currentTarget).then(() => (seen.value = Math.max(seen.value, at)));
              }}
              onError={() => (isBroken.value = at > 0)}
            />
          ))}
        </div>
      )}
    </div>
  );
}

/** So that nothing is seen between two of them. */
function drawn(image: HTMLImageElement): Promise<void> {
  return image.decode().catch(() => undefined);
}

/** Of what has no size, a square. */
function sizeOf({ width, height }: Row) {
  return { width: width || LARGEST_PREVIEW, height: height || LARGEST_PREVIEW };
}
