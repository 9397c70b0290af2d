/** The bar: search, how many there are, the size of the pictures, the menu. */
import { Grid2x2, Grid3x3, List, Square } from 'lucide';
import { shown } from '../state/gallery.ts';
import { changeSettings, density } from '../state/settings.ts';
import type { Density } from '../state/url.ts';
import { changeView } from '../state/view.ts';
import { texts } from '../texts.ts';
import { Icon } from './icon.tsx';
import { Menu } from './menu.tsx';
import { Search } from './search.tsx';

const ICONS = { small: Grid3x3, medium: Grid2x2, large: Square, list: List };

export function Bar() {
  return (
    <header class="bar">
      <Search />
      <Count />
      <DensityChoice />
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

function DensityChoice() {
  const choose = (chosen: Density) => {
    changeSettings({ density: chosen });
    changeView({ density: undefined }, 'replace');
  };
  return (
    <fieldset class="choice density" aria-label={texts.density}>
      {(Object.keys(ICONS) as Density[]).map((each) => (
        <label key={each} title={texts.densities[each]}>
          <input type="radio" name="density" checked={density.value === each} onChange={() => choose(each)} />
          <Icon of={ICONS[each]} label={texts.densities[each]} />
        </label>
      ))}
    </fieldset>
  );
}
