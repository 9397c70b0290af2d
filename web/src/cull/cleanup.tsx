/** Prunes the view by rules: asks for them, shows the plan with its reasons, and deletes what the plan saw. */
import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { CallError } from '../api/call.ts';
import { allBut, type DeletePlan, planDelete, runDelete } from '../api/changes.ts';
import { Dialog } from '../app/dialog.tsx';
import { reload } from '../state/gallery.ts';
import { tell } from '../state/notices.ts';
import { filtersOf } from '../state/url.ts';
import { selector, stepBack } from '../state/view.ts';
import { texts } from '../texts.ts';
import { PlanFacts } from './plan.tsx';

const DAY_SECONDS = 24 * 60 * 60;
const GIB = 1024 ** 3;

export function Cleanup() {
  const form = useRef<HTMLFormElement>(null);
  const plan = useSignal<DeletePlan | undefined>(undefined);
  const problem = useSignal('');
  const { cleanup, cull } = texts;
  const close = () => stepBack({ isCleanup: false });
  const attempt = async (work: () => Promise<void>) => {
    problem.value = '';
    try {
      await work();
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      problem.value = texts.problems.other(error.message);
      plan.value = undefined;
    }
  };
  const onPlan = (event: Event) => {
    event.preventDefault();
    void attempt(async () => {
      const doomed = allBut(filtersOf(selector.peek()), []);
      plan.value = await planDelete({ ...doomed, selection: { ...doomed.selection, ...criteriaIn(form.current!) } });
    });
  };
  const onRun = () =>
    attempt(async () => {
      const { count, restorableUntil } = await runDelete(plan.value!);
      close();
      await reload();
      tell({ text: cull.deletedAll(count, restorableUntil) });
    });
  return (
    <Dialog title={cleanup.title} onClose={close}>
      <form class="cull-form" ref={form} onSubmit={onPlan} onInput={() => (plan.value = undefined)}>
        <p class="secondary">{cleanup.explained}</p>
        <label>
          {cleanup.olderThan}
          <input name="days" type="number" min="0" step="1" inputmode="numeric" />
        </label>
        <label>
          {cleanup.keepCount}
          <input name="count" type="number" min="0" step="1" inputmode="numeric" />
        </label>
        <label>
          {cleanup.keepBytes}
          <input name="gib" type="number" min="0" step="any" inputmode="decimal" />
        </label>
        {problem.value !== '' && <p role="alert">{problem.value}</p>}
        {plan.value && <PlanFacts plans={[plan.value]} />}
        <footer class="cull-answers">
          {plan.value === undefined || plan.value.count === 0 ? (
            <button type="submit">{cleanup.plan}</button>
          ) : (
            <>
              <button type="button" onClick={close}>
                {cull.keep}
              </button>
              <button type="button" class="is-gone" onClick={() => void onRun()}>
                {cull.removeCount(plan.value.count)}
              </button>
            </>
          )}
        </footer>
      </form>
    </Dialog>
  );
}

/** What is left empty protects nothing. */
function criteriaIn(form: HTMLFormElement) {
  const data = new FormData(form);
  const number = (name: string) => {
    const text = String(data.get(name) ?? '');
    return text === '' ? undefined : Number(text);
  };
  const [days, keepCount, gib] = [number('days'), number('count'), number('gib')];
  return {
    ...(days !== undefined && { olderThanAge: `${days * DAY_SECONDS}s` }),
    ...(keepCount !== undefined && { keepCount }),
    ...(gib !== undefined && { keepBytes: `${Math.round(gib * GIB)}` }),
  };
}
