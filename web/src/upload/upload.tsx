/** Takes files that are dropped anywhere on the page, or chosen, and shows how far they are. */
import { useSignal } from '@preact/signals';
import { Upload as UploadIcon, X } from 'lucide';
import type { TargetedEvent } from 'preact';
import { useEffect } from 'preact/hooks';
import type { CallError } from '../api/call.ts';
import { Icon } from '../app/icon.tsx';
import { IconButton } from '../app/icon-button.tsx';
import { tell } from '../state/notices.ts';
import { may } from '../state/session.ts';
import { texts } from '../texts.ts';
import { droppedFiles, hasFiles } from './dropped-files.ts';
import { cancelUploads, clearUploads, type Progress, progress, retryFailed, upload } from './uploads.ts';

/** Failures that are named; of more there is the number. */
const MAX_NAMED = 50;

export function Upload() {
  const isOver = useSignal(false);
  useEffect(() => listenForDrops((is) => (isOver.value = is)), []);
  const state = progress.value;
  useEffect(() => (state?.isUnderWay ? warnBeforeLeaving() : undefined), [state?.isUnderWay]);
  return (
    <>
      {isOver.value && may('write') && (
        <div class="drop-target">
          <Icon of={UploadIcon} />
          {texts.upload.drop}
        </div>
      )}
      {state && <Card state={state} />}
      <Picker />
    </>
  );
}

/** It is in the page: what is not may be collected before somebody has chosen. */
let picker: HTMLInputElement | null = null;

/** For who cannot drop: phones. */
export function chooseFiles(): void {
  picker?.click();
}

function Picker() {
  const onChange = ({ currentTarget }: TargetedEvent<HTMLInputElement>) => {
    upload([...(currentTarget.files ?? [])]);
    currentTarget.value = '';
  };
  const keep = (input: HTMLInputElement | null) => {
    picker = input;
  };
  return <input ref={keep} type="file" multiple accept="image/*" hidden onChange={onChange} />;
}

function Card({ state }: { state: Progress }) {
  const { isUnderWay, failed, saved, count, part } = state;
  const text = isUnderWay ? texts.upload.underWay(saved, count) : texts.upload.ended(saved, failed.length);
  return (
    <section class="upload" aria-label={texts.upload.title}>
      <header>
        <h2>{text}</h2>
        {isUnderWay ? (
          <button type="button" onClick={cancelUploads}>
            {texts.cancel}
          </button>
        ) : (
          <>
            {failed.some(({ problem }) => mayPass(problem)) && (
              <button type="button" onClick={retryFailed}>
                {texts.retry}
              </button>
            )}
            <IconButton icon={X} label={texts.close} onClick={clearUploads} />
          </>
        )}
      </header>
      {isUnderWay && <progress value={part} aria-label={texts.upload.title} />}
      {failed.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it is scrolled by keys
        <ul tabIndex={0} aria-label={texts.upload.notSaved}>
          {failed.slice(0, MAX_NAMED).map(({ name, problem }, at) => (
            <li key={at}>
              {/* A name may turn the direction of what it stands in. */}
              <strong>
                <bdi>{name}</bdi>
              </strong>{' '}
              {reasonOf(problem)}
            </li>
          ))}
          {failed.length > MAX_NAMED && <li>{texts.upload.more(failed.length - MAX_NAMED)}</li>}
        </ul>
      )}
    </section>
  );
}

/** Whether it lies in the daemon or on the way to it, and not in the file. */
function mayPass({ isOffline, isLocked, status }: CallError): boolean {
  return isOffline || isLocked || status === 429 || status >= 500;
}

function reasonOf({ isOffline, message }: CallError): string {
  return isOffline ? texts.problems.offline : message;
}

/** What is dropped is never opened in place of the page, whoever may save or not. */
function listenForDrops(onOver: (isOver: boolean) => void): () => void {
  const ended = new AbortController();
  const { signal } = ended;
  const accept = (event: DragEvent) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer!.dropEffect = may('write') ? 'copy' : 'none';
    onOver(true);
  };
  addEventListener('dragenter', accept, { signal });
  addEventListener('dragover', accept, { signal });
  // Without a target beneath it, it left the page.
  addEventListener('dragleave', ({ relatedTarget }) => relatedTarget === null && onOver(false), { signal });
  addEventListener(
    'drop',
    (event) => {
      onOver(false);
      if (!hasFiles(event)) return;
      event.preventDefault();
      if (may('write')) void droppedFiles(event.dataTransfer!).then(upload);
      else tell({ text: texts.upload.refused, isError: true });
    },
    { signal },
  );
  return () => ended.abort();
}

function warnBeforeLeaving(): () => void {
  const warn = (event: BeforeUnloadEvent) => event.preventDefault();
  addEventListener('beforeunload', warn);
  return () => removeEventListener('beforeunload', warn);
}
