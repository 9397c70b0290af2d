/** A picture in the grid: its hash at once, then its preview. */

import { useEffect, useRef } from 'preact/hooks';
import { thumbHashToDataURL } from 'thumbhash';
import { type PreviewWidth, previewUrl, type Row } from '../api/images.ts';
import { inGrid, isStandIn } from '../state/previews.ts';
import { texts } from '../texts.ts';
import { isFlinging } from './fling.ts';

const SMALL = 320;
/** A picture may be drawn so much larger than it is before a larger one is asked for. */
const TOLERANCE = 1.15;
const MAX_HASHES = 2000;
const hashes = new Map<string, string>();

interface ThumbProps {
  row: Row;
  widthPx: number;
  /** Whether it was deleted: then its picture may be refused, and is asked for again once it is back. */
  isGone?: boolean;
  /** Whether its text stands beside it. */
  isNamed?: boolean;
}

export function Thumb({ row, widthPx, isGone = false, isNamed = false }: ThumbProps) {
  const image = useRef<HTMLImageElement>(null);
  const isAsked = useRef(false);
  // What is gone before anybody can see it is not asked for.
  if (!isFlinging.value) isAsked.current = true;
  useEffect(() => () => image.current?.removeAttribute('src'), []);
  const width = widthFor(widthPx);
  useEffect(() => {
    const { current } = image;
    if (isGone || !current?.classList.contains('is-broken')) return;
    current.classList.remove('is-broken');
    current.src = previewUrl(row, width);
  }, [isGone]);
  inGrid.width = width;
  return (
    <span
      class="thumb"
      style={row.thumbHash === '' ? undefined : { backgroundImage: `url(${hashUrl(row.thumbHash)})` }}
    >
      {isAsked.current && (
        <img
          ref={image}
          src={previewUrl(row, width)}
          alt={isNamed ? '' : texts.alt(row)}
          decoding="async"
          draggable={false}
          onLoad={({ currentTarget }) => {
            // A hash tells more than a grey surface.
            if (row.thumbHash === '' || !isStandIn(currentTarget, row)) currentTarget.classList.add('is-loaded');
          }}
          onError={({ currentTarget }) => currentTarget.classList.add('is-broken')}
        />
      )}
    </span>
  );
}

/** Of the preview for a cell so wide. */
function widthFor(px: number): PreviewWidth {
  return px * devicePixelRatio <= SMALL * TOLERANCE ? SMALL : 640;
}

/** A blurred picture of a ThumbHash in base64. */
export function hashUrl(hash: string): string {
  const known = hashes.get(hash);
  if (known !== undefined) return known;
  if (hashes.size >= MAX_HASHES) hashes.clear();
  const url = thumbHashToDataURL(Uint8Array.from(atob(hash), (byte) => byte.charCodeAt(0)));
  hashes.set(hash, url);
  return url;
}
