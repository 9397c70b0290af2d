/** Downloads what is selected: as one archive, or, beyond what one holds, by a command. */
import { signal } from '@preact/signals';
import { urlOf } from '../api/root.ts';
import { tellError } from '../state/notices.ts';
import { selectedCount } from '../state/selection.ts';
import { selector } from '../state/view.ts';
import { exportCommand } from './export-command.ts';
import { rowsAtHand } from './targets.ts';

/** As the daemon has it, which answers 400 beyond. */
const MAX_IMAGES = 500;
const MAX_BYTES = 2 * 1024 ** 3;

/** Shown in place of an archive that would be too large; undefined: none. */
export const command = signal<string | undefined>(undefined);

export async function download(): Promise<void> {
  const isMany = selectedCount.peek() > MAX_IMAGES;
  const rows = isMany ? [] : await rowsAtHand().catch(tellError);
  if (rows === undefined) return;
  const bytes = rows.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (isMany || rows.length > MAX_IMAGES || bytes > MAX_BYTES) {
    command.value = exportCommand(selector.peek());
    return;
  }
  // By a form, so that the browser saves the answer while it comes; a refusal is shown beside the page, not in its place.
  const about = { method: 'post', action: urlOf('zip'), target: '_blank' };
  const form = Object.assign(document.createElement('form'), about);
  for (const { provider, filename } of rows) form.append(field('provider', provider), field('filename', filename));
  document.body.append(form);
  form.submit();
  form.remove();
}

function field(name: string, value: string): HTMLInputElement {
  return Object.assign(document.createElement('input'), { type: 'hidden', name, value });
}
