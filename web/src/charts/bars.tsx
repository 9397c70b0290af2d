/** Groups as bars: a table whose last column is drawn, so that it reads as one, too. */
import type { Group } from '../api/stats.ts';
import { texts } from '../texts.ts';

interface BarsProps {
  heading: string;
  groups: readonly Group[];
  /** Of a group without a name. */
  unnamed: string;
  nameOf?(name: string): string;
  onPick(name: string): void;
}

export function Bars({ heading, groups, unnamed, nameOf = (name) => name, onPick }: BarsProps) {
  const most = Math.max(1, ...groups.map(({ count }) => count));
  return (
    <table class="bars">
      <thead class="visually-hidden">
        <tr>
          <th scope="col">{heading}</th>
          <th scope="col">{texts.charts.count}</th>
          <th scope="col">{texts.charts.bytes}</th>
        </tr>
      </thead>
      <tbody>
        {groups.map(({ name, count, bytes, isRest }) => (
          <tr key={isRest ? 'rest' : name} style={{ '--share': `${(count / most) * 100}%` }}>
            <th scope="row">
              {isRest || name === '' ? (
                <span>{isRest ? texts.charts.rest : unnamed}</span>
              ) : (
                <button type="button" class="link" onClick={() => onPick(name)}>
                  {nameOf(name)}
                </button>
              )}
            </th>
            <td>{texts.number(count)}</td>
            <td class="secondary">{texts.bytes(bytes)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
