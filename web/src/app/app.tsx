/** The frame of the page: bar, chips, grid, panel, and what opens over them. */
import { Cull } from '../cull/cull.tsx';
import { SelectionBar } from '../cull/selection-bar.tsx';
import { Grid } from '../grid/grid.tsx';
import { SidePanel } from '../panel/side-panel.tsx';
import { compared } from '../state/compare.ts';
import { isOpen } from '../state/open.ts';
import { view } from '../state/view.ts';
import { Upload } from '../upload/upload.tsx';
import { Arrived } from './arrived.tsx';
import { Bar } from './bar.tsx';
import { Chips } from './chips.tsx';
import { Help } from './help.tsx';
import { lazy } from './lazy.tsx';
import { Notices } from './notices.tsx';
import { Placeholder, ProblemLine } from './states.tsx';

export const Lightbox = lazy(() => import('../lightbox/lightbox.tsx').then((module) => module.Lightbox));

const Compare = lazy(() => import('../compare/compare.tsx').then((module) => module.Compare));
const Charts = lazy(() => import('../charts/charts.tsx').then((module) => module.Charts));

export function App() {
  return (
    <>
      <Bar />
      <Chips />
      <SelectionBar />
      <ProblemLine />
      <main class="stage">
        <div class="images">
          <Arrived />
          <Placeholder />
          <Grid />
        </div>
        <SidePanel />
      </main>
      {view.value.isCharts && <Charts />}
      {isOpen.value && <Lightbox />}
      {compared.value && <Compare />}
      <Upload />
      <Cull />
      <Help />
      <Notices />
    </>
  );
}
