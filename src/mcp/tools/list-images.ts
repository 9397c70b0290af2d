/** The tool `list_images`: finds images by their metadata. */
import { z } from 'zod';
import type { Hint, Image, ImageFilter, ImageStorageClient, ListOptions } from '../../client.ts';
import { filterFields, insteadOf } from '../filters.ts';
import { ABOUT_ROWS, rowOf } from '../image.ts';
import type { DateReader } from '../instant.ts';
import { CHARS_PER_IMAGE, fittingRows, type Room } from '../length.ts';
import { isBehind, pageToken, restOf } from '../page-token.ts';
import { type AddTool, READS } from '../tool.ts';

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 200;
const MIN_CHARS = 4_700;

export function addListImages(addTool: AddTool, client: ImageStorageClient, dates: DateReader): void {
  addTool({
    name: 'list_images',
    title: 'List images',
    description:
      `Finds stored images that match every given filter, newest first, and how many there are in all. ${ABOUT_ROWS} ` +
      'Prompts are cut to what fits.',
    annotations: READS,
    input: z.strictObject({
      ...filterFields(dates),
      provider: z.string().optional().describe('"*" is all of them; default: the default provider'),
      order: z.enum(['newest', 'oldest']).default('newest'),
      limit: z.int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT),
      page_token: z.string().optional().describe('The next_page_token of an answer with the same arguments'),
    }),
    async run({ since: start, until: end, limit, page_token, order, ...filters }, signal) {
      const filter = { ...filters, dateRange: { start, end } };
      const { images, hints } = await pageOf(client, { ...filter, order, limit, signal }, page_token);
      if (images.length === 0 && page_token === undefined) {
        return { value: { total: 0, ...(await insteadOf(client, { ...filter, signal }, hints)) } };
      }
      const maxChars = Math.max(MIN_CHARS, limit * CHARS_PER_IMAGE);
      const namesProvider = filters.provider === '*';
      const row = (image: Image, room: Room) => ({
        ...rowOf(image, room),
        provider: namesProvider ? image.provider : undefined,
      });
      const table = fittingRows(images.slice(0, limit), row, maxChars);
      const shown = table.rows.length;
      const isAll = shown === images.length;
      const counts = page_token === undefined ? await countsOf(client, filter, isAll ? images : undefined, signal) : {};
      return { value: { ...counts, ...table, nextPageToken: isAll ? undefined : pageToken(images[shown - 1]!) } };
    },
  });
}

/** Returns one image more than the limit, where there are more. */
async function pageOf(
  client: ImageStorageClient,
  { dateRange, limit, ...options }: ListOptions & { limit: number; dateRange: NonNullable<ImageFilter['dateRange']> },
  token: string | undefined,
) {
  const images: Image[] = [];
  let hints: Hint[] | undefined;
  const onHints = (found: Hint[]) => {
    hints = found;
  };
  const range = token === undefined ? dateRange : restOf(dateRange, token, options.order);
  // Images that were shown before may come first again.
  const most = token === undefined ? limit + 1 : 0;
  for await (const image of client.list({ ...options, dateRange: range, view: 'row', limit: most, onHints })) {
    if (token === undefined || isBehind(image, token, options.order)) images.push(image);
    if (images.length > limit) break;
  }
  return { images, hints };
}

/** An older daemon does not count what matches. */
async function countsOf(
  client: ImageStorageClient,
  filter: ImageFilter,
  all: readonly Image[] | undefined,
  signal: AbortSignal,
): Promise<object> {
  if (all !== undefined) return { total: all.length };
  const totals = await client.totals({ ...filter, signal });
  if (totals === undefined) return {};
  return totals.more ? { totalAtLeast: totals.count } : { total: totals.count };
}
