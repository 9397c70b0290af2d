/** What stands in place of the images where there are none to show, or in a line above them where they are old. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { CallError } from '../api/call.ts';
import { type Hint, listHints } from '../api/images.ts';
import { isLoading, problem, reload, shown, total } from '../state/gallery.ts';
import { textOfError } from '../state/notices.ts';
import { commandLine, may } from '../state/session.ts';
import { filtersOf } from '../state/url.ts';
import { changeView, clearFilters, selector } from '../state/view.ts';
import { texts } from '../texts.ts';
import { chooseFiles } from '../upload/upload.tsx';
import { CopyButton } from './copy-button.tsx';
import { Unlock } from './unlock.tsx';

/** In place of the grid; nothing where there are images. */
export function Placeholder() {
  if (total.value > 0) return null;
  if (problem.value !== undefined) return <Problem />;
  const counts = shown.value?.counts;
  if (counts === undefined) return <Skeleton />;
  if (isLoading.value) return null;
  return counts.all === 0 ? <Empty /> : <NoMatch all={counts.all} />;
}

/** Above a grid that is still shown; nothing where nothing is wrong. */
export function ProblemLine() {
  if (problem.value === undefined || total.value === 0) return null;
  return (
    <div class="problem-line" role="alert">
      <Told error={problem.value} />
    </div>
  );
}

function Problem() {
  return (
    <div class="placeholder" role="alert">
      <Told error={problem.value!} />
    </div>
  );
}

function Told({ error }: { error: CallError }) {
  if (error.isLocked) return <Unlock />;
  return (
    <>
      <p>{textOfError(error)}</p>
      <button type="button" onClick={() => void reload()}>
        {texts.retry}
      </button>
    </>
  );
}

/** What comes in is shown by itself, and counted in the bar. */
function Empty() {
  const { title, drop, readOnly, command } = texts.empty;
  const line = commandLine(command);
  return (
    <div class="placeholder">
      <h2>{title}</h2>
      <p>{may('write') ? drop : readOnly}</p>
      <p class="command">
        <code>{line}</code>
        <CopyButton text={line} />
      </p>
      {may('write') && (
        <button type="button" onClick={chooseFiles}>
          {texts.upload.title}
        </button>
      )}
    </div>
  );
}

/** What there is instead, where a model, a category or a tag is none. */
function NoMatch({ all }: { all: number }) {
  const hints = useSignal<Hint[]>([]);
  useEffect(() => {
    const abort = new AbortController();
    // It only adds to what is said.
    const asked = listHints(filtersOf(selector.peek()), abort.signal);
    asked.then((found) => (hints.value = found)).catch(() => undefined);
    return () => abort.abort();
  }, [selector.value]);
  return (
    <div class="placeholder">
      <p>{texts.noMatch(all)}</p>
      {hints.value.map(({ field, values }) => (
        <p key={field} class="hints">
          {texts.insteadOf(field)}
          {values.map((value) => (
            <button key={value} type="button" class="link" onClick={() => takeHint(field, value)}>
              {value}
            </button>
          ))}
        </p>
      ))}
      <button type="button" onClick={clearFilters}>
        {texts.showAll}
      </button>
    </div>
  );
}

function takeHint(field: string, value: string): void {
  const { query } = selector.peek();
  const terms = new RegExp(`(?<=^|\\s)${field}:(?:"[^"]*"|\\S+)`, 'gi');
  const change = field === 'tag' ? { tags: [value] } : { [field]: value };
  changeView({ ...change, query: query.replace(terms, '').replace(/\s+/g, ' ').trim() });
}

/** Where the images will be, once it takes longer than a moment. */
function Skeleton() {
  return (
    <div class="skeleton" aria-hidden="true">
      {Array.from({ length: 60 }, (_, at) => (
        <span key={at} />
      ))}
    </div>
  );
}
