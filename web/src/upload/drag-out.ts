/**
 * Lets an original be dragged elsewhere, such as into ComfyUI, which then asks for it without a cookie: so by a link that
 * is signed before the drag begins, since a drag must have all its data at once.
 */
import { ask } from '../api/call.ts';
import { originalUrl, type Row } from '../api/images.ts';
import { ROOT } from '../api/root.ts';
import { rowAt } from '../state/gallery.ts';
import { gone } from '../state/gone.ts';
import { openRow } from '../state/open.ts';

/** Whoever only passes an image drags nothing. */
const HOVER_MS = 120;
/** A link is signed again so long before it ends: what it was dropped on may ask later. */
const LEFT_MS = 10 * 60 * 1000;
const MAX_LINKS = 500;

interface SignedLink {
  url: string;
  expires: string;
}

interface KnownLink {
  url: string;
  endsAt: number;
}

/** By id of the row. */
const links = new Map<string, KnownLink | 'asked'>();
let hovered: string | undefined;
let hovering: ReturnType<typeof setTimeout> | undefined;

/** Begins to follow the pointer, on cells and on whatever has `data-original`: the open image. */
export function startDragOut(): void {
  // By its moves: under a pointer that rests, images come and go by themselves.
  addEventListener('pointermove', ({ pointerType, target }) => {
    const row = pointerType === 'mouse' ? rowOf(target) : undefined;
    if (row?.id === hovered) return;
    hovered = row?.id;
    clearTimeout(hovering);
    if (row !== undefined) hovering = setTimeout(() => void signAhead(row), HOVER_MS);
  });
  addEventListener('pointerdown', ({ target }) => {
    const row = rowOf(target);
    if (row !== undefined) void signAhead(row);
  });
  addEventListener('dragstart', (event) => {
    const row = rowOf(event.target);
    if (row !== undefined && event.dataTransfer !== null) fill(event.dataTransfer, row, event.target as Element);
  });
}

function rowOf(target: EventTarget | null): Row | undefined {
  if (!(target instanceof Element)) return undefined;
  const index = target.closest<HTMLElement>('[data-index]')?.dataset.index;
  if (index !== undefined) return rowAt(Number(index));
  return target.closest('[data-original]') === null ? undefined : openRow.value;
}

async function signAhead(row: Row): Promise<void> {
  if (gone.peek().has(row.id)) return;
  const known = links.get(row.id);
  if (known === 'asked' || (known !== undefined && known.endsAt - LEFT_MS > Date.now())) return;
  if (links.size >= MAX_LINKS) links.clear();
  links.set(row.id, 'asked');
  try {
    const body = JSON.stringify({ filename: row.filename, provider: row.provider });
    const headers = { 'content-type': 'application/json' };
    const { url, expires } = await ask<SignedLink>('sign', { method: 'POST', headers, body });
    // Where this page has the daemon: publicUrl may be another name of it.
    const own = new URL(originalUrl(row));
    own.search = new URL(url, ROOT).search;
    links.set(row.id, { url: own.href, endsAt: Date.parse(expires) });
  } catch {
    // Others tell of it, too. Where nothing is signed the plain URL is dragged, which a tab or a desktop takes.
    links.delete(row.id);
  }
}

function fill(data: DataTransfer, row: Row, source: Element): void {
  const link = links.get(row.id);
  const url = typeof link === 'object' ? link.url : originalUrl(row);
  data.clearData();
  data.effectAllowed = 'copyLink';
  data.setData('text/uri-list', url);
  data.setData('text/plain', url);
  // What Chromium makes a file of where it is dropped on a desktop.
  data.setData('DownloadURL', `${row.contentType}:${row.filename}:${url}`);
  const picture = source.querySelector('img');
  if (picture !== null) data.setDragImage(picture, picture.width / 2, picture.height / 2);
}
