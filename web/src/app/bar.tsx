/** The bar: search, how many there are, the size of the pictures, the menu. */
import { shown } from '../state/gallery.ts';
import { texts } from '../texts.ts';
import { DensityChoice } from './density-choice.tsx';
import { Menu } from './menu.tsx';
import { Search } from './search.tsx';

export function Bar() {
  return (
    <header class="bar">
      <h1 class="visually-hidden">{texts.title}</h1>
      <Search />
      <Count />
      <DensityChoice name="density" />
      <Menu />
    </header>
  );
}

function Count() {
  const counts = shown.value?.counts;
  const text = counts && texts.count(counts.matching ?? counts.all, counts.all);
  return (
    <output class="count" aria-live="polite">
      {text}
      {counts?.isPartial && '+'}
    </output>
  );
}
