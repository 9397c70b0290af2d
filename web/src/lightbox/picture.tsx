/** A picture as large as its place: the preview that is there, then a sharper one, then the original where that shows. */
import { useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { originalUrl, previewUrl, type Row } from '../api/images.ts';
import { texts } from '../texts.ts';

const LARGEST_PREVIEW = 1440;

export function Picture({ row }: { row: Row }) {
  const frame = useRef<HTMLDivElement>(null);
  const isSharp = useSignal(false);
  const isBroken = useSignal(false);
  const wantsOriginal = useSignal(false);
  useLayoutEffect(() => {
    const { clientWidth, clientHeight } = frame.current!;
    const scale = Math.min(clientWidth / row.width, clientHeight / row.height, 1);
    wantsOriginal.value = row.width * scale * devicePixelRatio > LARGEST_PREVIEW;
  }, []);
  const sharp = wantsOriginal.value ? originalUrl(row) : previewUrl(row, LARGEST_PREVIEW);
  return (
    <div ref={frame} class="picture">
      {isBroken.value && <p class="placeholder">{texts.image.broken}</p>}
      {!isSharp.value && !isBroken.value && <img class="picture-first" src={previewUrl(row, 640)} alt="" />}
      <img
        class={isSharp.value ? 'is-loaded' : ''}
        src={sharp}
        alt={texts.alt(row)}
        width={row.width}
        height={row.height}
        onLoad={() => (isSharp.value = true)}
        onError={() => (isBroken.value = true)}
      />
    </div>
  );
}
