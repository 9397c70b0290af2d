/** The title of the page, which tabs, bookmarks and the history have: of the open image, or of the search, unless all is blurred. */
import { effect } from '@preact/signals';
import { texts } from '../texts.ts';
import { openRow } from './open.ts';
import { isBlurred } from './settings.ts';
import { view } from './view.ts';

const MAX_LENGTH = 80;

/** Begins to follow the view. */
export function startTitle(): void {
  effect(() => {
    const { image, query } = view.value;
    const what = image === '' ? query : openRow.value?.prompt || image;
    document.title = what === '' || isBlurred.value ? texts.title : `${cut(what)} – ${texts.title}`;
  });
}

function cut(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length > MAX_LENGTH ? `${line.slice(0, MAX_LENGTH)}…` : line;
}
