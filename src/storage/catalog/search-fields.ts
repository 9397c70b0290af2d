/** The words by which an image is found: those of its prompt, and those of its other fields, which have a mark each. */
import { hash } from 'node:crypto';
import { modelSlug } from '../domain/naming.ts';
import type { ImageRecord } from '../domain/record.ts';
import type { ImageFilter } from '../domain/requests.ts';
import type { Settings } from './generation-settings.ts';
import { fold, searchText } from './search-text.ts';

/** What is searched of an image. */
export interface Searched
  extends Pick<
    ImageRecord,
    | 'prompt'
    | 'model'
    | 'category'
    | 'tags'
    | 'pinned'
    | 'filename'
    | 'sha256'
    | 'contentType'
    | 'width'
    | 'height'
    | 'timestamp'
  > {
  settings: Settings;
}

/** No text has it as a word: it is neither letter nor digit. */
const MARK = '·';
const MARKS = {
  prompt: '',
  negative: 'w',
  model: 'n',
  lora: 'l',
  filename: 'f',
  /** The short id, without the other words of the filename. */
  id: 'i',
  category: 'c',
  tag: 't',
  sampler: 'a',
  scheduler: 'u',
  seed: 'd',
  sha256: 'h',
  type: 'y',
  steps: 's',
  cfg: 'g',
  size: 'e',
  pinned: 'p',
  workflow: 'o',
} as const;
export type Field = keyof typeof MARKS;
const FIELDS = Object.keys(MARKS) as Field[];

/** The fields that are read of the parameters. */
export const SETTINGS_FIELDS: readonly Field[] = [
  ...(['negative', 'lora', 'sampler', 'scheduler', 'seed', 'steps', 'cfg', 'workflow'] as const),
];
/** The words of `type`; each image has one of them. */
export const TYPES: readonly string[] = ['PNG', 'JPEG', 'WEBP', 'GIF', 'AVIF', 'OTHER'];
/** The word of a field that is either there or not. */
export const YES = 'YES';
/** Of the sha256, the digits that are a word. */
export const SHA256_DIGITS = 8;

const MAX_VALUE_CHARS = 15;
const DIGEST_CHARS = 16;
const MAX_DIGESTS = 500;
/** The filter by model: its slug. */
const SLUG = 'm';

/** The words of each field, with a space before each. */
const WORDS: Record<Field, (image: Searched) => string> = {
  prompt: ({ prompt }) => searchText(prompt),
  negative: ({ settings }) => searchText(settings.generation?.negativePrompt ?? ''),
  model: ({ model }) => searchText(model || 'unknown'),
  // A phrase does not go from one name to the next.
  lora: ({ settings }) => (settings.generation?.loras ?? []).map(searchText).join(` ${MARK}`),
  filename: ({ filename }) => searchText(filename),
  id: ({ filename }) => listed(/_([0-9a-z]{6})\.[a-z]+$/.exec(filename)?.[1]?.toUpperCase()),
  category: ({ category }) => listed(category && valueWord(category)),
  tag: ({ tags }) => listed(...tags.map(valueWord)),
  sampler: ({ settings }) => listed(wordOfValue(settings.generation?.sampler)),
  scheduler: ({ settings }) => listed(wordOfValue(settings.generation?.scheduler)),
  seed: ({ settings }) => listed(wordOfValue(settings.generation?.seed)),
  sha256: ({ sha256 }) => listed(sha256.slice(0, SHA256_DIGITS)),
  type: ({ contentType }) => listed(typeWord(contentType)),
  steps: ({ settings }) => listed(wordOfNumber(settings.generation?.steps)),
  cfg: ({ settings }) => listed(wordOfNumber(settings.generation?.cfg)),
  size: ({ width, height }) => listed(sizeWord(width, height)),
  pinned: ({ pinned }) => listed(pinned && YES),
  workflow: ({ settings }) => listed(settings.hasWorkflow && YES),
};

/** Returns the words of a field, with a space before each and none after the last. */
export function wordsOf(field: Field, image: Searched): string {
  return WORDS[field](image);
}

/** Returns the text that the index has of an image. */
export function indexedText(image: Searched): string {
  const texts = FIELDS.map((field) => wordsOf(field, image).replaceAll(' ', ` ${markOf(field)}`));
  return `${texts.join('')} ${MARK}${SLUG}${digest(modelSlug(image.model))}`;
}

/** Returns what the index has before each word of a field. */
export function markOf(field: Field): string {
  return field === 'prompt' ? '' : MARK + MARKS[field];
}

/** Returns a word for each filter that the index can look up; `pinned: false` has none. Others may share it. */
export function filterWords({ model, category, tags = [], pinned }: ImageFilter): string[] {
  return [
    ...(model ? [`${MARK}${SLUG}${digest(modelSlug(model))}`] : []),
    ...(category ? [markOf('category') + valueWord(category)] : []),
    ...tags.map((tag) => markOf('tag') + valueWord(tag)),
    ...(pinned ? [markOf('pinned') + YES] : []),
  ];
}

/** Returns the word of a whole value. */
export function valueWord(value: string): string {
  const folded = fold(value).trim();
  return folded.length <= MAX_VALUE_CHARS && /^[A-Z0-9]+$/.test(folded) ? folded : digest(folded);
}

/** Returns a word for a number; the words are in the order of the numbers. */
export function numberWord(value: number): string {
  double.setFloat64(0, value + 0);
  const [high, low] = [double.getUint32(0), double.getUint32(4)];
  const isNegative = high >>> 31 === 1;
  return wordOfHalf(isNegative ? ~high : high | 0x80000000) + wordOfHalf(isNegative ? ~low : low);
}

const double = new DataView(new ArrayBuffer(8));

function wordOfHalf(bits: number): string {
  return (bits >>> 0).toString(16).padStart(8, '0');
}

/** Returns a word for a size, which begins with that of its longer edge. */
export function sizeWord(width: number, height: number): string {
  const [longer, shorter] = width >= height ? [width, height] : [height, width];
  return numberWord(longer) + numberWord(shorter) + (width >= height ? 'w' : 'h');
}

function typeWord(contentType: string): string {
  const type = contentType.replace(/^image\//, '').toUpperCase();
  return TYPES.includes(type) ? type : 'OTHER';
}

function wordOfValue(value: string | undefined): string | undefined {
  return value === undefined ? undefined : valueWord(value);
}

function wordOfNumber(value: number | undefined): string | undefined {
  return value === undefined ? undefined : numberWord(value);
}

function listed(...words: (string | false | undefined)[]): string {
  return words.map((word) => (word ? ` ${word}` : '')).join('');
}

/** Those of the last values: most images share theirs with others. */
const digests = new Map<string, string>();

function digest(value: string): string {
  let known = digests.get(value);
  if (known === undefined) {
    known = hash('sha256', value, 'hex').slice(0, DIGEST_CHARS);
    if (digests.size === MAX_DIGESTS) digests.clear();
    digests.set(value, known);
  }
  return known;
}
