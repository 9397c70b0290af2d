/** Images with all that can be searched, and queries for them: some that people would not write, and any others. */
import type { Generation } from '../../src/storage/domain/image.ts';
import { recordOf, T0 } from './catalogs.ts';
import type { Example } from './search-model.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const WORDS = [
  ...[
    'fox',
    'foxes',
    'red',
    'a',
    'x',
    'or',
    'not',
    'masterpiece',
    'snow',
    'snowy',
    'sailor',
    'café',
    '1.2',
    '20240927',
  ],
  ...[
    'Łódź',
    'Ørsted',
    'straße',
    'STRASSE',
    'naïve',
    'مُحَمَّد',
    'محمد',
    'שָׁלוֹם',
    '猫の家',
    '猫',
    '붉은고양이',
    '고양',
    '🦊',
    '👍🏽',
    '❤️',
  ],
  ...['don’t', 'blue-eyed', '(best:1.3)', '<lora:ink:0.8>', 'BREAK', 'Steps:', '--ar', 'ΣΊΣΥΦΟΣ', 'ｆｕｌｌ', 'æon'],
];
const MODELS = ['', 'unknown', 'black-forest-labs/FLUX.1 [dev]', 'flux-schnell', 'SDXL 1.0', 'DreamShaper_8', '模型'];
const LORAS = ['ink-wash', 'Ink', 'detail_tweaker_xl', 'łódź'];
const SAMPLERS = ['Euler a', 'euler', 'DPM++ 2M', 'dpmpp_2m'];
const SCHEDULERS = ['karras', 'Karras', 'simple'];
const SEEDS = ['0', '42', '18446744073709551615', '123456'];
const CATEGORIES = ['', 'Portrait', 'portrait', 'Still Life'];
const TAGS = ['keeper', 'Blue Hour', "it's", 'Łódź'];
const TYPES = ['image/png', 'image/jpeg', 'image/webp', 'image/gif', 'image/avif'];
const SIZES = [
  [1024, 1024],
  [1024, 768],
  [768, 1024],
  [512, 512],
  [1, 1],
] as const;

/** Returns a number from 0 to below `count`. */
export type Random = (count: number) => number;

export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return (count) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * count);
  };
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[random(from.length)]!;
}

function some<T>(random: Random, count: number, from: readonly T[]): T[] {
  return Array.from({ length: random(count + 1) }, () => pick(random, from));
}

export function exampleOf(id: number, random: Random): Example {
  const [width, height] = pick(random, SIZES);
  const given = {
    seed: pick(random, [...SEEDS, undefined]),
    steps: pick(random, [undefined, 20, 28, 30, 50]),
    cfg: pick(random, [undefined, 1, 3.5, 7, 7.5]),
    sampler: pick(random, [...SAMPLERS, undefined]),
    scheduler: pick(random, [...SCHEDULERS, undefined]),
    negativePrompt: some(random, 3, WORDS).join(' ') || undefined,
  };
  const hasWorkflow = random(3) === 0;
  const loras = [...new Set(some(random, 2, LORAS))];
  const { seed, cfg, negativePrompt: negative_prompt, ...plain } = given;
  const parameters = { ...plain, negative_prompt, seed, cfg_scale: cfg, loras: loras.map((name) => ({ name })) };
  const record = recordOf(id, {
    prompt: some(random, 5, WORDS).join(pick(random, [' ', ', '])),
    timestamp: T0 + Math.floor(id / 9) * (DAY_MS / 8),
    model: pick(random, MODELS),
    category: pick(random, CATEGORIES),
    tags: [...new Set(some(random, 2, TAGS))],
    pinned: random(4) === 0,
    contentType: pick(random, TYPES),
    width,
    height,
    sha256: `${pick(random, ['0badf00d', 'deadbeef'])}${id.toString(16).padStart(56, '0')}`,
    parametersJson: JSON.stringify({ ...parameters, ...(hasWorkflow && { workflow: { nodes: [] } }) }),
  });
  const inPrompt = /<lora:ink:/.test(record.prompt) ? ['ink'] : [];
  const names = [...inPrompt, ...loras];
  const generation = Object.fromEntries(
    Object.entries({ ...given, loras: names.length > 0 ? names : undefined }).filter(
      ([, value]) => value !== undefined,
    ),
  ) as Generation;
  return { record, generation, hasWorkflow };
}

const FIELDS: Record<string, readonly string[]> = {
  model: [...MODELS, 'flux', 'FLUX-dev', 'sdxl'],
  lora: [...LORAS, 'in', 'tweaker'],
  filename: ['2024', '20240927', '20240927_14', 'flux', 'png', '000'],
  category: CATEGORIES,
  tag: TAGS,
  sampler: SAMPLERS,
  scheduler: SCHEDULERS,
  seed: [...SEEDS, '4'],
  sha256: ['0badf00d', 'DEADBEEF0000', 'dead', 'nothexno'],
  type: ['png', 'JPG', 'image/webp', 'bmp', 'other'],
  negative: WORDS,
  steps: ['28', '>=28', '<=20', '20..30', '30..20', '>28', '1e3', '..'],
  cfg: ['7', '7.5', '>=3.5', '.5..7', '7..7'],
  size: ['1024x768', '1024', '>=1024', '1..512', '768×1024', 'x', '9999999999x1'],
  after: ['2024-09-28', '2024-10-01', '2024-13-01', '2024'],
  before: ['2024-09-28', '2024-10-01', '2024-02-30'],
  is: ['pinned', 'PINNED', 'unpinned'],
  has: ['workflow', 'nothing'],
  unknown: ['field'],
};
const NOISE = [
  'OR',
  '-',
  '--',
  '"',
  '""',
  '*',
  '(',
  ':',
  'NEAR',
  'AND',
  'text:',
  '^',
  '·mx',
  '-"',
  '\\',
  'filename',
  '-OR',
];

export function anyQuery(random: Random, examples: readonly Example[]): string {
  const token = (): string => {
    switch (random(9)) {
      case 0:
        return pick(random, NOISE);
      case 1:
        return `"${some(random, 3, WORDS).join(' ')}"`;
      case 2:
      case 3:
      case 4: {
        const field = pick(random, Object.keys(FIELDS));
        const value = pick(random, FIELDS[field]!);
        const name = random(5) === 0 ? field.toUpperCase() : field;
        return random(3) === 0 || value.includes(' ') ? `${name}:"${value}"` : `${name}:${value}`;
      }
      case 5: {
        const { filename } = pick(random, examples).record;
        return random(2) === 0 ? filename.split(/[_.]/).at(-2)! : filename.slice(0, 8 + random(30));
      }
      default: {
        const word = pick(random, WORDS);
        return random(2) === 0 ? word : word.slice(0, 1 + random(word.length));
      }
    }
  };
  const tokens = Array.from({ length: 1 + random(5) }, () => (random(5) === 0 ? '-' : '') + token());
  return tokens.flatMap((next) => (random(4) === 0 ? ['OR', next] : [next])).join(' ');
}

/** Queries of 4 KiB at most that nobody should have to fear. */
export const HOSTILE: readonly string[] = [
  ...[
    '',
    ' ',
    '-',
    '--',
    '*',
    'fo*',
    '"',
    '""',
    '"""',
    '" "',
    "'",
    'OR',
    'OR OR OR',
    'a OR',
    'OR a',
    '-OR',
    '-""',
    '- -',
  ],
  ...[
    'NEAR(fox red)',
    'fox NEAR/2 red',
    'text:fox',
    'prompts:fox',
    '{text}: fox',
    '^fox',
    'fox + red',
    '(fox',
    'fox) AND (',
    '·p',
    '·pYES',
  ],
  ...['\\', "'; DROP TABLE prompts; --", 'model:', 'steps:>=1e999', 'after:9999-99-99', 'size:x', '\u200b'],
  'a OR '.repeat(819).trim(),
  Array.from({ length: 800 }, (_, at) => `w${at}`)
    .join(' OR ')
    .slice(0, 4096),
  Array.from({ length: 1000 }, (_, at) => `-${at.toString(36)}`)
    .join(' ')
    .slice(0, 4096),
  '"'.repeat(4096),
  '-'.repeat(4096),
  'model:'.repeat(682),
  '"a b" '.repeat(682).trim(),
  'seed:1 OR '.repeat(400).trim(),
  'steps:1..9 '.repeat(370).trim(),
  '('.repeat(4096),
  '猫'.repeat(1365),
  '🦊'.repeat(1024),
  `"${'fox '.repeat(1000)}"`,
];
