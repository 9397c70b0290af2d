/** Parses the values of flags. */
import { InvalidArgumentError } from 'commander';
import { parseBytes } from '../../storage/domain/byte-size.ts';

/** Generation parameters: the JSON text of each value by key. */
export type Parameters = Map<string, string>;

const MAX_CONCURRENCY = 64;
const SCALAR = /^(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)$/;

/**
 * Adds `key=value`. A number keeps its digits, so that a 64-bit seed survives; a value that is not a JSON scalar is a
 * string.
 */
export function collectParameter(text: string, parameters: Parameters = new Map()): Parameters {
  const [, key, value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (key === undefined) throw new InvalidArgumentError('expected key=value');
  return new Map(parameters).set(key, SCALAR.test(value) ? value : JSON.stringify(value));
}

/** Returns the parameters as one JSON object. */
export function parametersText(parameters: Parameters): string {
  return `{${[...parameters].map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`;
}

/** Parses a size such as 10GiB. Returns bytes. */
export function parseSize(text: string): number {
  const bytes = parseBytes(text);
  if (!Number.isSafeInteger(bytes)) throw new InvalidArgumentError('expected a size such as 500MB or 10GiB');
  return bytes;
}

/** Parses a whole number of at most 32 bits, as the contract counts. */
export function parseCount(text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(count <= 0xffff_ffff)) throw new InvalidArgumentError('expected a whole number');
  return count;
}

/** Parses a number of concurrent operations, 1 to MAX_CONCURRENCY. */
export function parseConcurrency(text: string): number {
  const count = parseCount(text);
  if (count < 1 || count > MAX_CONCURRENCY) throw new InvalidArgumentError(`expected 1 to ${MAX_CONCURRENCY}`);
  return count;
}

/** Parses seconds: more than 0, fractions allowed. */
export function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0)) throw new InvalidArgumentError('expected a number of seconds');
  return seconds;
}

/** Collects a flag that may be repeated. */
export function collect(value: string, values: string[] = []): string[] {
  return [...values, value];
}
