/** The kinds of values that settings have. Each kind also parses text, since flags and variables are text. */
import { isIP } from 'node:net';
import * as z from 'zod';
import { parseBytes, SIZE } from './byte-size.ts';
import { parseAge } from './dates.ts';

const WEEK_SECONDS = 7 * 24 * 3600;
const MAX_DAYS = 36_500;
const DAY_MS = 24 * 3600 * 1000;

export const NOT_PLAIN = 'must not contain control characters, such as a line break';

/** Text without control characters: other systems would reject them later, with messages that name no setting. */
export const text = () =>
  z
    .string({ error: ({ input }) => (input === undefined ? 'must be set' : 'must be text') })
    .min(1, 'must not be empty')
    .refine(isPlain, NOT_PLAIN);

export function isPlain(value: string): boolean {
  return !/\p{Cc}/u.test(value);
}

export const folder = () =>
  text().refine((path) => !/^~(\/|$)/.test(path), 'must be written out: only a shell knows what ~ means');

/** The path of a file; empty: none. */
export const file = () => folder().or(z.literal('')).default('');

/** Text that is never displayed. */
export const secret = (description: string) => text().optional().meta({ description, writeOnly: true });

/** Permissions in octal. YAML reads 0640 without quotes as the number 640. */
export const mode = (pattern: RegExp, example: string) =>
  z.string(`must be quoted, such as "${example}"`).regex(pattern, `must be an octal mode such as "${example}"`);

export const yesOrNo = () =>
  z.union([z.boolean(), z.enum(['true', 'false', '1', '0']).transform((value) => /^(true|1)$/.test(value))], {
    error: 'must be true or false',
  });

export const list = () =>
  z.union([z.array(z.string()), z.string().transform((value) => value.split(',').map((item) => item.trim()))], {
    error: 'must be a list of text',
  });

/** Reports every problem with the same message. */
function number(kind: () => z.ZodNumber, min: number, max: number, error: string) {
  const accepted = kind().min(min, error).max(max, error);
  const written = z.string().regex(/^\d+(\.\d+)?$/, error);
  return z.union([accepted, written.transform(Number).pipe(accepted)], { error });
}

export const seconds = (min: number) =>
  number(z.number, min, WEEK_SECONDS, `must be seconds, ${min} to ${WEEK_SECONDS}`);

/** A fraction of a minute is accepted. */
export const minutes = (min: number) =>
  number(z.number, min, WEEK_SECONDS / 60, `must be minutes, ${min} to ${WEEK_SECONDS / 60}`);

/** A fraction of a day is accepted. */
export const days = () => number(z.number, 0, MAX_DAYS, `must be days, 0 to ${MAX_DAYS}`);

export const count = () => number(z.int, 1, 1_000_000, 'must be a whole number, 1 to 1000000');

const YEAR_SECONDS = 31_536_000;

/** Caches keep nothing for longer. */
export const maxAge = () => number(z.int, 0, YEAR_SECONDS, `must be whole seconds, 0 to ${YEAR_SECONDS}`);

/** A name or an address, without a port. */
export const hostName = () =>
  z.string().regex(/^(?:[\w-]+(?:\.[\w-]+)*\.?|\[[\da-f:.]+\])$/i, 'must be names of hosts, such as images.internal');

/** Such as browsers send it. */
export const origin = () =>
  z.string().refine((text) => text !== 'null' && /^https?:/.test(text) && URL.parse(text)?.origin === text, {
    error: ({ input }) =>
      `"${input}" is no origin: scheme, host and, where it has one, port, such as http://127.0.0.1:8188`,
  });

/** An address, a network, or this word. */
export const network = (word: string) =>
  z.string().refine((text) => text === word || isNetwork(text), {
    error: ({ input }) => `"${input}" is neither an address nor a network such as 10.0.0.0/8`,
  });

function isNetwork(text: string): boolean {
  const [address = '', prefix, ...more] = text.split('/');
  const bits = isIP(address) === 4 ? 32 : 128;
  if (isIP(address) === 0 || more.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits);
}

export const dayCount = () => number(z.int, 1, MAX_DAYS, `must be a whole number of days, 1 to ${MAX_DAYS}`);

/** An age such as 30d, at least `minMs`. */
export const age = (minMs: number) => {
  const bound = minMs > 0 ? `, at least ${minMs / 60_000}m` : '';
  const error = `must be an age of at most ${MAX_DAYS}d, such as 90m, 12h, 30d or 2w${bound}`;
  return z.string(error).refine((value) => isAge(value, minMs), { error });
};

function isAge(value: string, minMs: number): boolean {
  const parsed = parseAge(value);
  return parsed !== undefined && parsed.ageMs >= minMs && parsed.ageMs <= MAX_DAYS * DAY_MS;
}

/** `max` is a size in the same form. */
export const byteSize = (max?: string) => {
  const bound = max === undefined ? '' : `, at most ${max}`;
  const error = `must be a number of bytes above 0, or a size such as 256MiB or 8MB${bound}`;
  const accepted = z
    .int(error)
    .min(1, error)
    .max(max === undefined ? Number.MAX_SAFE_INTEGER : parseBytes(max), error);
  return z.union([accepted, z.string().regex(SIZE, error).transform(parseBytes).pipe(accepted)], { error });
};

/** A URL without secrets: configurations are displayed and logged. */
export const httpUrl = (example: string) =>
  z
    .url({ protocol: /^https?$/, error: `must be a URL such as ${example}` })
    .refine(isPlain, NOT_PLAIN)
    .refine(isBare, 'must be a URL without credentials, query and fragment');

function isBare(text: string): boolean {
  const url = URL.parse(text);
  // An invalid URL is reported by the check above.
  return url === null || url.username + url.password + url.search + url.hash === '';
}
