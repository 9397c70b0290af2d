/** Lists all objects below a prefix, page by page, and refuses a service whose pages do not follow each other. */
import { HELP } from './help.ts';
import { type ListedObject, type ObjectStore, ObjectStoreError } from './object-store.ts';

/** Objects whose keys are above `after` up to and including `upTo`; unset where there is no such bound. */
export interface ListedPage {
  objects: ListedObject[];
  after?: string;
  upTo?: string;
}

/**
 * Lists those whose keys are above `start`, or all. Throws an ObjectStoreError `misconfigured` that names what the service
 * does wrong.
 */
export async function* listPages(store: ObjectStore, prefix: string, start?: string): AsyncGenerator<ListedPage> {
  let after = start;
  for (let more = true; more; ) {
    const page = await store.list(prefix, after);
    checkOrder(page.objects, after);
    const last = page.objects.at(-1)?.key;
    ({ more } = page);
    if (more && last === undefined) throw disordered('says that more objects follow, and lists none');
    yield { objects: page.objects, ...(after !== undefined && { after }), ...(more && { upTo: last }) };
    after = last;
  }
}

/** Yields the same pages; asks for the next one while one is worked on, once `before` has resolved for that. */
export async function* oneAhead(
  pages: AsyncGenerator<ListedPage>,
  before: (page: ListedPage) => Promise<void>,
): AsyncGenerator<ListedPage> {
  let next = pages.next();
  try {
    for (let { value, done } = await next; !done; { value, done } = await next) {
      await before(value);
      next = pages.next();
      next.catch(() => {});
      yield value;
    }
  } finally {
    await next.catch(() => {});
    await pages.return(undefined);
  }
}

/** Otherwise a listing would repeat itself for ever, or skip objects, which would be taken for removed. */
export function checkOrder(objects: readonly ListedObject[], after?: string): void {
  let previous = after;
  for (const { key } of objects) {
    if (previous !== undefined && !isBefore(previous, key)) {
      throw disordered(previous === after ? 'ignores StartAfter in listings' : 'lists keys out of order');
    }
    previous = key;
  }
}

/** JavaScript compares UTF-16, services compare UTF-8; the two differ only outside ASCII. */
function isBefore(key: string, next: string): boolean {
  return key < next || Buffer.compare(Buffer.from(key), Buffer.from(next)) < 0;
}

function disordered(what: string): ObjectStoreError {
  return new ObjectStoreError('misconfigured', `the service ${what} (${HELP.listings})`);
}
