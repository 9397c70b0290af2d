/** How large the pictures are: in the bar, and on phones in the menu. */
import { Grid2x2, Grid3x3, List, Square } from 'lucide';
import { changeSettings, density } from '../state/settings.ts';
import type { Density } from '../state/url.ts';
import { changeView } from '../state/view.ts';
import { texts } from '../texts.ts';
import { Icon } from './icon.tsx';

const ICONS = { small: Grid3x3, medium: Grid2x2, large: Square, list: List };

/** `name` groups its buttons. */
export function DensityChoice({ name }: { name: string }) {
  const choose = (chosen: Density) => {
    changeSettings({ density: chosen });
    changeView({ density: undefined }, 'replace');
  };
  return (
    <fieldset class="choice density" aria-label={texts.density}>
      {(Object.keys(ICONS) as Density[]).map((each) => (
        <label key={each} title={texts.densities[each]}>
          <input type="radio" name={name} checked={density.value === each} onChange={() => choose(each)} />
          <Icon of={ICONS[each]} label={texts.densities[each]} />
        </label>
      ))}
    </fieldset>
  );
}
