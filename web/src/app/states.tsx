/** What stands in place of the images where there are none to show, or in a line above them where they are old. */
import type { CallError } from '../api/call.ts';
import { isLoading, problem, reload, shown, total } from '../state/gallery.ts';
import { clearFilters } from '../state/view.ts';
import { texts } from '../texts.ts';
import { CopyButton } from './copy-button.tsx';
import { Unlock } from './unlock.tsx';

/** In place of the grid; nothing where there are images. */
export function Placeholder() {
  if (total.value > 0) return null;
  if (problem.value !== undefined) return <Problem />;
  const counts = shown.value?.counts;
  if (counts === undefined || isLoading.value) return null;
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
      <p>{textOf(error)}</p>
      <button type="button" onClick={() => void reload()}>
        {texts.retry}
      </button>
    </>
  );
}

function textOf(error: CallError): string {
  const { problems } = texts;
  return error.isOffline ? problems.offline : problems.other(error.message);
}

function Empty() {
  return (
    <div class="placeholder">
      <p>{texts.empty.title}</p>
      <p class="command">
        <code>{texts.empty.command}</code>
        <CopyButton text={texts.empty.command} />
      </p>
    </div>
  );
}

function NoMatch({ all }: { all: number }) {
  return (
    <div class="placeholder">
      <p>{texts.noMatch(all)}</p>
      <button type="button" onClick={clearFilters}>
        {texts.showAll}
      </button>
    </div>
  );
}
