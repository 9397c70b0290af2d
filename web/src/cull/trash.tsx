/** What was deleted and can still be taken back; the last deleted first. Its bytes have no address: a hash stands for them. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { CallError } from '../api/call.ts';
import { listTrash, purgeTrash, restoreImages, type Trashed, type TrashPage } from '../api/changes.ts';
import { Dialog } from '../app/dialog.tsx';
import { hashUrl } from '../grid/thumb.tsx';
import { reload, shown } from '../state/gallery.ts';
import { textOfError } from '../state/notices.ts';
import { stepBack, view } from '../state/view.ts';
import { texts } from '../texts.ts';

const PAGE = 100;

export function Trash() {
  const pages = useSignal<TrashPage[]>([]);
  const problem = useSignal('');
  const isAsking = useSignal(false);
  const { provider } = view.value;
  const { trash } = texts;
  const attempt = async (work: () => Promise<void>) => {
    problem.value = '';
    try {
      await work();
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      problem.value = textOfError(error);
    }
  };
  const read = async (pageToken: string) => {
    const page = await listTrash(provider, pageToken, PAGE);
    pages.value = pageToken === '' ? [page] : [...pages.value, page];
  };
  useEffect(() => void attempt(() => read('')), [provider]);
  const restore = (images: readonly Trashed[]) =>
    attempt(async () => {
      const parts = restoreImages(images.map(({ row }) => row));
      let count = 0;
      for await (const ids of parts) count += ids.length;
      await read('');
      await reload();
      if (count < images.length) problem.value = texts.cull.notRestored(images.length - count);
    });
  const purge = () =>
    attempt(async () => {
      // One call is for one provider.
      for (const each of provider === '*' ? (shown.value?.counts.providers ?? []) : [provider]) await purgeTrash(each);
      await read('');
    });
  /** The second click does it. */
  const onPurge = () => {
    if (isAsking.value) void purge();
    isAsking.value = !isAsking.value;
  };
  const images = pages.value.flatMap((page) => page.images);
  const nextPageToken = pages.value.at(-1)?.nextPageToken ?? '';
  return (
    <Dialog title={trash.title} isWide onClose={() => stepBack({ isTrash: false })}>
      {problem.value !== '' && <p role="alert">{problem.value}</p>}
      {pages.value.length > 0 && images.length === 0 && <p class="secondary">{trash.empty}</p>}
      {images.length > 0 && (
        <>
          <ul class="trash">
            {images.map((image) => (
              <Line key={image.row.id} image={image} onRestore={() => void restore([image])} />
            ))}
          </ul>
          {nextPageToken !== '' && (
            <button type="button" onClick={() => void attempt(() => read(nextPageToken))}>
              {trash.more}
            </button>
          )}
          <footer class="cull-answers">
            <button type="button" onClick={() => void restore(images)}>
              {trash.restoreAll(images.length)}
            </button>
            <button type="button" class="is-gone" onClick={onPurge}>
              {isAsking.value ? trash.purgeSure : trash.purge}
            </button>
          </footer>
        </>
      )}
    </Dialog>
  );
}

function Line({ image: { row, deleteTime, purgeTime }, onRestore }: { image: Trashed; onRestore(): void }) {
  const { trash } = texts;
  return (
    <li>
      <span
        class="trash-hash"
        style={row.thumbHash === '' ? {} : { backgroundImage: `url(${hashUrl(row.thumbHash)})` }}
      />
      <span class="trash-text">
        <span>{row.prompt || row.filename}</span>
        <span class="secondary">{trash.times(deleteTime, purgeTime)}</span>
      </span>
      <button type="button" aria-label={trash.restoreOne(row.prompt || row.filename)} onClick={onRestore}>
        {trash.restore}
      </button>
    </li>
  );
}
