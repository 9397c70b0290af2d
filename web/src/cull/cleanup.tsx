/** Prunes the view by rules: asks for them, shows the plan with its reasons, and deletes what the plan saw. */
import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { CallError } from '../api/call.ts';
import { type DeletePlan, planDelete } from '../api/changes.ts';
import { Dialog } from '../app/dialog.tsx';
import { textOfError } from '../state/notices.ts';
import { stepBack } from '../state/view.ts';
import { texts } from '../texts.ts';
import { allShownBut, runAll } from './delete.ts';
import { PlanFacts } from './plan.tsx';
import { begin } from './undo.ts';

const DAY_SECONDS = 24 * 60 * 60;
const GIB = 1024 ** 3;

export function Cleanup() {
  const form = useRef<HTMLFormElement>(null);
  const plans = useSignal<readonly DeletePlan[]>([]);
  const problem = useSignal('');
  const { cleanup, cull } = texts;
  const close = () => stepBack({ isCleanup: false });
  const onPlan = async (event: Event) => {
    event.preventDefault();
    problem.value = '';
    const criteria = criteriaIn(form.current!);
    try {
      plans.value = await Promise.all(
        allShownBut([]).map(({ provider, selection }) =>
          planDelete({ provider, selection: { ...selection, ...criteria } }),
        ),
      );
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      problem.value = textOfError(error);
    }
  };
  const onRun = () => {
    close();
    void begin((deletion) => runAll(plans.value, deletion));
  };
  const count = plans.value.reduce((sum, plan) => sum + plan.count, 0);
  return (
    <Dialog title={cleanup.title} onClose={close}>
      <form class="cull-form" ref={form} onSubmit={onPlan} onInput={() => (plans.value = [])}>
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
        {plans.value.length > 0 && <PlanFacts plans={plans.value} />}
        <footer class="cull-answers">
          {count === 0 ? (
            <button type="submit">{cleanup.plan}</button>
          ) : (
            <>
              <button type="button" onClick={close}>
                {cull.keep}
              </button>
              <button type="button" class="is-gone" onClick={onRun}>
                {cull.removeCount(count)}
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
