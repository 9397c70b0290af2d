/** The words by which the text index finds an image for its filters, beside those of its prompt. */
import { hash } from 'node:crypto';
import { modelSlug } from '../domain/naming.ts';
import type { ImageRecord } from '../domain/record.ts';
import type { ImageFilter } from '../domain/requests.ts';
import { searchText } from './search-text.ts';

/** No prompt has it: it is neither letter nor digit. */
const MARK = '·';
const DIGEST_CHARS = 16;

type Indexed = Pick<ImageRecord, 'prompt' | 'model' | 'category' | 'tags' | 'pinned'>;

/** Returns the text that the index has of an image. */
export function indexedText({ prompt, model, category, tags, pinned }: Indexed): string {
  const fields = fieldWords({ model, category, tags, ...(pinned && { pinned }) });
  return [searchText(prompt), ...fields].join(' ');
}

/** Returns a word for each filter that the index can look up; `pinned: false` has none. */
export function fieldWords({ model, category, tags = [], pinned }: ImageFilter): string[] {
  return [
    ...(model ? [fieldWord('m', modelSlug(model))] : []),
    ...(category ? [fieldWord('c', category)] : []),
    ...tags.map((tag) => fieldWord('t', tag)),
    ...(pinned ? [`${MARK}p`] : []),
  ];
}

function fieldWord(kind: string, value: string): string {
  return MARK + kind + hash('sha256', value, 'hex').slice(0, DIGEST_CHARS);
}
