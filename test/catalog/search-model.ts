/** What a query means, read letter by letter and without an index, to compare a catalog with it. */
import type { Generation } from '../../src/storage/domain/image.ts';
import type { ImageRecord } from '../../src/storage/domain/record.ts';

export interface Example {
  record: ImageRecord;
  generation: Generation;
  hasWorkflow: boolean;
}
type Test = (example: Example) => boolean;

/** Returns the examples that a query finds. */
export function found(query: string, examples: readonly Example[]): Example[] {
  return examples.filter(testOf(query));
}

function testOf(query: string): Test {
  if (query.trim() === '') return () => true;
  const said = tokensOf(query).flatMap((token) => {
    const test = tokenTest(token);
    return test === undefined ? [] : [{ token, test }];
  });
  if (said.length === 0) return () => false;
  const tests: Test[] = [];
  for (let at = 0; at < said.length; at += 1) {
    const { token, test } = said[at]!;
    const [before, after] = [tests.at(-1), said[at + 1]];
    if (token !== 'OR' || before === undefined || after === undefined || after.token === 'OR') {
      tests.push(test);
      continue;
    }
    tests[tests.length - 1] = (example) => before(example) || after.test(example);
    at += 1;
  }
  return (example) => tests.every((test) => test(example));
}

const SPACE = /\s/;
const NAME = /[a-zA-Z0-9]/;

function tokensOf(query: string): string[] {
  const tokens: string[] = [];
  for (let at = 0; at < query.length; ) {
    if (SPACE.test(query[at]!)) {
      at += 1;
      continue;
    }
    let quote = query[at] === '-' ? at + 1 : at;
    let name = quote;
    while (NAME.test(query[name] ?? ' ')) name += 1;
    if (name > quote && query[name] === ':') quote = name + 1;
    const close = query[quote] === '"' ? query.indexOf('"', quote + 1) : -1;
    let end = close + 1;
    if (close === -1) for (end = at; end < query.length && !SPACE.test(query[end]!); ) end += 1;
    tokens.push(query.slice(at, end));
    at = end;
  }
  return tokens;
}

/** Returns undefined for what says nothing. */
function tokenTest(token: string): Test | undefined {
  if (!token.startsWith('-') || token.startsWith('--')) return positive(token);
  const test = positive(token.slice(1));
  return test && ((example) => !test(example));
}

function positive(token: string): Test | undefined {
  if (token.startsWith('"') && token.length > 1 && token.endsWith('"') && !token.slice(1, -1).includes('"')) {
    return inRow(promptOf, token, false);
  }
  const colon = token.indexOf(':');
  const quoted = token[colon + 1] === '"' && token.indexOf('"', colon + 2) === token.length - 1;
  const value = quoted ? token.slice(colon + 2, -1) : token.slice(colon + 1);
  const field = colon > 0 && value !== '' ? fieldTest(token.slice(0, colon).toLowerCase(), value, quoted) : undefined;
  return field ?? plain(token);
}

function fieldTest(name: string, value: string, quoted: boolean): Test | undefined {
  const words = (texts: (example: Example) => string[]) =>
    quoted ? inRow(texts, value, false) : everyWord(texts, value);
  const same = (of: (example: Example) => string | undefined) => {
    const wanted = folded(value).trim();
    return value.trim() === '' ? undefined : (example: Example) => same1(of(example), wanted);
  };
  const number = (of: (example: Example) => number | undefined): Test | undefined => {
    const range = rangeOf(value);
    return range && ((example) => (of(example) ?? Number.NaN) >= range[0]! && of(example)! <= range[1]!);
  };
  switch (name) {
    case 'model':
      return words(({ record }) => [record.model || 'unknown']);
    case 'lora':
      return words(({ generation }) => generation.loras ?? []);
    case 'negative':
      return words(({ generation }) => [generation.negativePrompt ?? '']);
    case 'filename':
      return inRow(({ record }) => [record.filename], value, !quoted);
    case 'category':
      return same(({ record }) => record.category || undefined);
    case 'sampler':
      return same(({ generation }) => generation.sampler);
    case 'scheduler':
      return same(({ generation }) => generation.scheduler);
    case 'seed':
      return same(({ generation }) => generation.seed);
    case 'tag':
      return value.trim() === ''
        ? undefined
        : ({ record }) => record.tags.some((tag) => same1(tag, folded(value).trim()));
    case 'type': {
      const type = { jpg: 'jpeg' }[value.toLowerCase()] ?? value.toLowerCase().replace('image/', '');
      if (!['png', 'jpeg', 'webp', 'gif', 'avif'].includes(type)) return undefined;
      return ({ record }) => record.contentType === `image/${type}`;
    }
    case 'sha256':
      return /^[0-9a-fA-F]{8,64}$/.test(value)
        ? ({ record }) => record.sha256.startsWith(value.toLowerCase())
        : undefined;
    case 'steps':
      return number(({ generation }) => generation.steps);
    case 'cfg':
      return number(({ generation }) => generation.cfg);
    case 'size': {
      const sides = value.split(/[x×]/i);
      if (sides.length === 2 && sides.every((side) => /^\d+$/.test(side))) {
        return ({ record }) => record.width === Number(sides[0]) && record.height === Number(sides[1]);
      }
      return number(({ record }) => Math.max(record.width, record.height));
    }
    case 'after':
    case 'before': {
      const day = Date.parse(`${value}T00:00:00Z`);
      const isDay =
        /^\d{4}-\d\d-\d\d$/.test(value) && !Number.isNaN(day) && new Date(day).getUTCDate() === +value.slice(8);
      if (!isDay) return undefined;
      return ({ record }) => record.timestamp >= day === (name === 'after');
    }
    case 'is':
      return value.toLowerCase() === 'pinned' ? ({ record }) => record.pinned : undefined;
    case 'has':
      return value.toLowerCase() === 'workflow' ? ({ hasWorkflow }) => hasWorkflow : undefined;
    default:
      return undefined;
  }
}

function plain(token: string): Test | undefined {
  const words = everyWord(promptOf, token);
  if (words === undefined) return undefined;
  if (token.length === 6 && /^[0-9a-z]+$/i.test(token)) {
    return (example) => words(example) || example.record.filename.split(/[_.]/).at(-2) === token.toLowerCase();
  }
  if (!/^\d{8}(_[0-9a-z_.-]*)?$/i.test(token)) return words;
  const [month, day] = [Number(token.slice(4, 6)), Number(token.slice(6, 8))];
  if (month < 1 || month > 12 || day < 1 || day > 31) return words;
  const filename = inRow(({ record }) => [record.filename], token, true)!;
  return (example) => words(example) || filename(example);
}

function promptOf({ record }: Example): string[] {
  return [record.prompt];
}

/** Every run of letters, wherever it is; of more than one letter, the beginning of a word. */
function everyWord(texts: (example: Example) => string[], said: string): Test | undefined {
  const runs = runsOf(said);
  if (runs.length === 0) return undefined;
  return (example) => runs.every((run) => has(texts(example), run, [...run.join('')].length > 1));
}

function inRow(texts: (example: Example) => string[], said: string, open: boolean): Test | undefined {
  const words = runsOf(said).flat();
  return words.length === 0 ? undefined : (example) => has(texts(example), words, open && words.join(' ').length > 1);
}

function has(texts: string[], words: string[], open: boolean): boolean {
  return texts.some((text) => {
    const there = runsOf(text).flat();
    return there.some((_, at) =>
      words.every((word, next) => {
        const candidate = there[at + next];
        return open && next === words.length - 1 ? candidate?.startsWith(word) : candidate === word;
      }),
    );
  });
}

function same1(value: string | undefined, wanted: string): boolean {
  return value !== undefined && folded(value).trim() === wanted;
}

function rangeOf(value: string): [number, number] | undefined {
  const number = (text: string) => (/^(\d+(\.\d+)?|\.\d+)$/.test(text) ? Number(text) : undefined);
  const [from, to, more] = value.split('..');
  const bounds = value.startsWith('>=')
    ? [number(value.slice(2)), Number.POSITIVE_INFINITY]
    : value.startsWith('<=')
      ? [0, number(value.slice(2))]
      : to === undefined
        ? [number(value), number(value)]
        : [more === undefined ? number(from!) : undefined, number(to)];
  return bounds.includes(undefined) ? undefined : (bounds as [number, number]);
}

const LETTERS: Record<string, string> = {
  ...{ ł: 'l', đ: 'd', ð: 'd', ø: 'o', æ: 'ae', œ: 'oe', þ: 'th', ħ: 'h', ŧ: 't', ŋ: 'n', ß: 'ss', ı: 'i', ĸ: 'k' },
  ...{ ς: 'σ', ی: 'ي', ى: 'ي', ک: 'ك' },
};
/** What is not typed: accents, Hebrew and Arabic vowels, and what shapes an emoji. */
const DROPPED: [number, number][] = [
  ...([
    [0x300, 0x36f],
    [0x591, 0x5c7],
    [0x610, 0x61a],
    [0x64b, 0x65f],
    [0x670, 0x670],
    [0x6d6, 0x6ed],
  ] as [number, number][]),
  ...([
    [0x640, 0x640],
    [0xad, 0xad],
    [0x200d, 0x200d],
    [0xfe00, 0xfe0f],
    [0x1f3fb, 0x1f3ff],
    [0x20e3, 0x20e3],
  ] as [number, number][]),
];
/** Han, kana, Hangul, emoji. */
const ALONE: [number, number][] = [
  ...([
    [0x4e00, 0x9fff],
    [0x3041, 0x30ff],
    [0xac00, 0xd7a3],
    [0x1f000, 0x1faff],
    [0x2764, 0x2764],
  ] as [number, number][]),
];

function folded(text: string): string {
  const letters = [...text.normalize('NFKD').toLowerCase()].filter((letter) => !isIn(letter, DROPPED));
  return letters
    .map((letter) => LETTERS[letter] ?? letter)
    .join('')
    .normalize('NFC');
}

const known = new Map<string, string[][]>();

/** Returns the words of each run of letters, digits and emoji. */
function runsOf(text: string): string[][] {
  const runs = known.get(text) ?? readRuns(text);
  known.set(text, runs);
  return runs;
}

function readRuns(text: string): string[][] {
  const runs: string[][] = [];
  let isWithin = false;
  let isWord = false;
  for (const letter of folded(text)) {
    const alone = isIn(letter, ALONE);
    if (!alone && !/[\p{L}\p{N}\p{M}]/u.test(letter)) {
      isWithin = false;
      continue;
    }
    if (!isWithin) runs.push([letter]);
    else if (alone || !isWord) runs.at(-1)!.push(letter);
    else runs.at(-1)!.push(runs.at(-1)!.pop()! + letter);
    [isWithin, isWord] = [true, !alone];
  }
  return runs;
}

function isIn(letter: string, ranges: readonly [number, number][]): boolean {
  const code = letter.codePointAt(0)!;
  return ranges.some(([from, to]) => code >= from && code <= to);
}
