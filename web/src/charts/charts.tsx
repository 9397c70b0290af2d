/** What the images of the view are: their models as bars, their days as a calendar. A click narrows the view. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { CallError } from '../api/call.ts';
import { type Counts, countImages } from '../api/stats.ts';
import { Dialog } from '../app/dialog.tsx';
import { shown } from '../state/gallery.ts';
import { filtersOf, type View } from '../state/url.ts';
import { changeView, selector, stepBack } from '../state/view.ts';
import { texts } from '../texts.ts';
import { Bars } from './bars.tsx';
import { Calendar } from './calendar.tsx';
import { calendarOf } from './calendar-layout.ts';

const MAX_MODELS = 30;

export function Charts() {
  const models = useSignal<Counts | undefined>(undefined);
  const problem = useSignal('');
  const isTable = useSignal(false);
  const asked = selector.value;
  useEffect(() => {
    const abort = new AbortController();
    countImages(filtersOf(asked), { by: 'GROUP_BY_MODEL', limit: MAX_MODELS }, abort.signal)
      .then((counts) => (models.value = counts))
      .catch((error) => {
        if (error instanceof CallError) problem.value = texts.problems.other(error.message);
      });
    return () => abort.abort();
  }, [asked]);
  const { matching = 0, groups = [] } = shown.value?.counts ?? {};
  const days = asked.order === 'oldest' ? groups.toReversed() : groups;
  const onDay = (name: string) => narrow({ since: name, until: name });
  return (
    <Dialog title={texts.charts.title} isWide onClose={() => stepBack({ isCharts: false })}>
      <p class="secondary">{texts.images(matching)}</p>
      {problem.value !== '' && <p role="alert">{problem.value}</p>}
      <section>
        <h3>{texts.charts.models}</h3>
        <Bars
          heading={texts.charts.model}
          groups={models.value?.groups ?? []}
          unnamed={texts.charts.noModel}
          onPick={(model) => narrow({ model })}
        />
      </section>
      <section>
        <header class="charts-days">
          <h3>{texts.charts.days}</h3>
          <button type="button" aria-pressed={isTable.value} onClick={() => (isTable.value = !isTable.value)}>
            {isTable.value ? texts.charts.asCalendar : texts.charts.asTable}
          </button>
        </header>
        {isTable.value ? (
          <Bars heading={texts.charts.dayName} groups={days} unnamed="" nameOf={texts.charts.date} onPick={onDay} />
        ) : (
          calendarOf(days).map((year) => <Calendar key={year.year} year={year} onDay={onDay} />)
        )}
      </section>
    </Dialog>
  );
}

/** In place of the charts: Back leads to them. */
function narrow(change: Partial<View>): void {
  changeView({ ...change, isCharts: false });
}
