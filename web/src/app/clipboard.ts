/** Copies text, also where the page came without TLS and browsers have no clipboard for it. */
import { tell } from '../state/notices.ts';
import { texts } from '../texts.ts';

/** Returns whether it was copied; says so where not. */
export async function copyText(text: string): Promise<boolean> {
  const isCopied = (await copyModern(text)) || copyBySelection(text);
  if (!isCopied) tell({ text: texts.copyFailed, isError: true });
  return isCopied;
}

async function copyModern(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

function copyBySelection(text: string): boolean {
  const before = document.activeElement as HTMLElement | null;
  // What lies outside of an open dialog cannot be selected.
  const place = document.querySelector('dialog:modal') ?? document.body;
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'copied-from';
  place.append(area);
  area.select();
  const isCopied = document.execCommand('copy');
  area.remove();
  before?.focus({ preventScroll: true });
  return isCopied;
}
