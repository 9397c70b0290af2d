/** Says over the grid how many images came; a click shows them. */
import { arrived, showArrived } from '../state/live.ts';
import { texts } from '../texts.ts';

export function Arrived() {
  return (
    <div class="arrived" aria-live="polite">
      {arrived.value > 0 && (
        <button type="button" onClick={() => void showArrived()}>
          {texts.arrived(arrived.value)}
        </button>
      )}
    </div>
  );
}
