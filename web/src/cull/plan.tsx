/** Shows what a delete would take before it does: how many, how large, of when, and whether it can be taken back. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { DeletePlan } from '../api/changes.ts';
import { Dialog } from '../app/dialog.tsx';
import { texts } from '../texts.ts';
import { question } from './delete.ts';
import { spanOf } from './span.ts';

/** The dialog of a delete that is asked about; nothing while none is. */
export function PlanQuestion() {
  const asked = question.value;
  if (asked === undefined) return null;
  const { number, plans, answer } = asked;
  const count = plans.reduce((sum, plan) => sum + plan.count, 0);
  return (
    <Dialog key={number} title={texts.cull.question(count)} onClose={() => answer(false)}>
      <PlanFacts plans={plans} />
      <footer class="cull-answers">
        <button type="button" onClick={() => answer(false)}>
          {texts.cull.keep}
        </button>
        {count > 0 && (
          <button type="button" class="is-gone" onClick={() => answer(true)}>
            {texts.cull.removeCount(count)}
          </button>
        )}
      </footer>
    </Dialog>
  );
}

export function PlanFacts({ plans }: { plans: readonly DeletePlan[] }) {
  const span = useSignal('');
  useEffect(() => {
    const abort = new AbortController();
    // What cannot be counted is left out: the plan holds without it.
    spanOf(plans, abort.signal).then(
      (told) => (span.value = told),
      () => undefined,
    );
    return () => abort.abort();
  }, [plans]);
  const { cull } = texts;
  const sum = (of: (plan: DeletePlan) => number) => plans.reduce((total, plan) => total + of(plan), 0);
  const untils = plans.filter(({ count }) => count > 0).map(({ restorableUntil }) => restorableUntil);
  const isForGood = untils.some((until) => until === undefined);
  const pinned = sum((plan) => plan.pinned);
  return (
    <ul class="plan">
      <li>
        {cull.planned(
          sum((plan) => plan.count),
          sum((plan) => plan.bytes),
        )}
      </li>
      {span.value !== '' && <li>{span.value}</li>}
      {pinned > 0 && <li>{cull.sparesPinned(pinned)}</li>}
      {reasonsOf(plans).map(({ text, count, bytes }) => (
        <li key={text}>{cull.reason(text, count, bytes)}</li>
      ))}
      {untils.length > 0 && (
        <li class={isForGood ? 'is-gone' : ''}>
          {isForGood ? cull.forGood : cull.until(Math.min(...untils.map((until) => until!)))}
        </li>
      )}
    </ul>
  );
}

/** Each once, whatever number of providers it is of. */
function reasonsOf(plans: readonly DeletePlan[]): DeletePlan['reasons'] {
  const byText = Map.groupBy(
    plans.flatMap(({ reasons }) => reasons),
    ({ text }) => text,
  );
  return [...byText].map(([text, same]) => ({
    text,
    count: same.reduce((sum, { count }) => sum + count, 0),
    bytes: same.reduce((sum, { bytes }) => sum + bytes, 0),
  }));
}
