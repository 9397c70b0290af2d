/** Tokens: how one is made, the lines in which the daemon has them, and which of them a caller holds. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { isScope, SCOPES, type Scope } from './scope.ts';

/** What the daemon knows of a token. */
export interface TokenEntry {
  name: string;
  sha256: Buffer;
  scopes: readonly Scope[];
  /** ms since 1970; unset: never. */
  expiresAt: number | undefined;
}

const NAME = /^[\w][\w.@-]{0,63}$/;
const SHA256 = /^[\da-f]{64}$/i;
const DATE = /^\d{4}-\d\d-\d\d$/;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/i;
const TOKEN_BYTES = 32;
const DAY_MS = 24 * 3600 * 1000;

/** Says what is wrong with the text, by the number of its line; quotes nothing of it. */
export class TokensError extends Error {
  override readonly name = 'TokensError';
}

/** Returns a new token. Only who is given it knows it: the daemon keeps its sha256. */
export function newToken(): string {
  return `is_${randomBytes(TOKEN_BYTES).toString('base64url')}`;
}

/** Returns the line of a token: name, sha256, scopes and, where it has one, expiry. */
export function tokenLine(name: string, token: string, scopes: readonly Scope[], expires?: Date): string {
  return [name, hashOf(token).toString('hex'), scopes.join(','), expires?.toISOString()].filter(Boolean).join(' ');
}

export function isTokenName(text: string): boolean {
  return NAME.test(text);
}

/** Reads one token a line; empty lines, and those that begin with `#`, say nothing. Throws a TokensError. */
export function parseTokens(text: string): TokenEntry[] {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  if (lines.every((line) => line === '')) throw new TokensError('has no line');
  const entries: TokenEntry[] = [];
  for (const [at, line] of lines.entries()) {
    if (line === '' || line.startsWith('#')) continue;
    const fail = (problem: string): never => {
      throw new TokensError(`line ${at + 1}: ${problem}`);
    };
    const entry = parseLine(line, fail);
    if (entries.some(({ name }) => name === entry.name)) fail('another line has this name');
    if (entries.some(({ sha256 }) => sha256.equals(entry.sha256))) fail('another line has this sha256');
    entries.push(entry);
  }
  return entries;
}

function parseLine(line: string, fail: (problem: string) => never): TokenEntry {
  const [name = '', sha256 = '', list = '', expiry, ...more] = line.split(/\s+/);
  if (!NAME.test(name)) fail('a name has letters, digits, and . _ @ - within, at most 64');
  if (!SHA256.test(sha256)) fail('behind the name comes the sha256 of the token, 64 hex digits');
  const scopes = list.split(',').filter(isScope);
  if (list === '' || scopes.length < list.split(',').length) fail(`its scopes must be of ${SCOPES.join(',')}`);
  const expiresAt = expiry === undefined ? undefined : endOf(expiry);
  if (Number.isNaN(expiresAt) || more.length > 0)
    fail('its expiry must be a date, or a time such as 2030-01-31T12:00Z');
  return { name, sha256: Buffer.from(sha256, 'hex'), scopes, expiresAt };
}

/** A day is included, in UTC. */
function endOf(expiry: string): number {
  if (DATE.test(expiry)) return Date.parse(expiry) + DAY_MS;
  return INSTANT.test(expiry) ? Date.parse(expiry) : Number.NaN;
}

/** Compares with all of them, and in the same time whichever it is; expired ones too. */
export function findToken(
  entries: readonly TokenEntry[],
  token: string,
  isEqual: (a: Buffer, b: Buffer) => boolean = timingSafeEqual,
): TokenEntry | undefined {
  const hash = hashOf(token);
  let found: TokenEntry | undefined;
  for (const entry of entries) if (isEqual(entry.sha256, hash)) found = entry;
  return found;
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
