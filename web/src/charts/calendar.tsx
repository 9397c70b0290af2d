/** A heat map of days: how many images each has; a click shows them. */
import { texts } from '../texts.ts';
import type { CalendarDay, CalendarYear } from './calendar-layout.ts';

const STEP = 14;
const SQUARE = 12;
const TOP = 18;
const WEEKDAYS = 7;

interface CalendarProps {
  year: CalendarYear;
  onDay(name: string): void;
}

export function Calendar({ year, onDay }: CalendarProps) {
  const { weeks, days, months } = year;
  const onClick = ({ target }: MouseEvent) => {
    const name = target instanceof Element ? target.closest<SVGElement>('[data-day]')?.dataset.day : undefined;
    if (name !== undefined) onDay(name);
  };
  return (
    <figure class="calendar">
      <figcaption>
        <h3>{year.year}</h3>
        <span class="secondary">{texts.images(year.count)}</span>
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a narrow page scrolls it by keys */}
      <div class="calendar-scroller" tabIndex={0}>
        {/* biome-ignore lint/a11y/useKeyWithClickEvents: the table has the same days as buttons */}
        <svg
          role="img"
          aria-label={texts.charts.calendar(year.year, year.count)}
          width={weeks * STEP}
          height={TOP + WEEKDAYS * STEP}
          onClick={onClick}
        >
          {months.map((week, month) => (
            <text key={week} x={week * STEP} y={TOP - 7}>
              {texts.charts.month(month)}
            </text>
          ))}
          {days.map((day) => (
            <Square key={day.name} {...day} />
          ))}
        </svg>
      </div>
    </figure>
  );
}

function Square({ name, count, level, week, weekday }: CalendarDay) {
  return (
    <rect
      class={`day day-${level}`}
      data-day={count === 0 ? undefined : name}
      x={week * STEP}
      y={TOP + weekday * STEP}
      width={SQUARE}
      height={SQUARE}
      rx={2}
    >
      <title>{texts.charts.day(name, count)}</title>
    </rect>
  );
}
