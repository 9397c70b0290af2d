/** The table of what differs between two images. */
import { useSignal } from '@preact/signals';
import type { ImageJson } from '../api/contract.ts';
import { texts } from '../texts.ts';
import { type Pair, pairsOf } from './differences.ts';
import { compareWords, type Piece } from './words.ts';

export function Differences({ left, right }: { left: ImageJson; right: ImageJson }) {
  const isAll = useSignal(false);
  const pairs = pairsOf(left, right);
  const differing = pairs.filter((pair) => pair.left !== pair.right);
  const listed = isAll.value ? pairs : differing;
  return (
    <section class="differences" aria-label={texts.compare.differences}>
      <header>
        <h3>{texts.compare.count(differing.length)}</h3>
        <button type="button" aria-pressed={isAll.value} onClick={() => (isAll.value = !isAll.value)}>
          {isAll.value ? texts.compare.onlyDifferences : texts.compare.all}
        </button>
      </header>
      <table>
        <tbody>
          {listed.map((pair) => (
            <Line key={pair.name} {...pair} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Line({ name, left, right }: Pair) {
  const [lefts, rights] = compareWords(left, right);
  return (
    <tr>
      <th scope="row">{name}</th>
      <td class="mono">{lefts.map(shown)}</td>
      <td class="mono">{rights.map(shown)}</td>
    </tr>
  );
}

function shown({ text, isShared }: Piece, at: number) {
  return isShared ? text : <mark key={at}>{text}</mark>;
}
