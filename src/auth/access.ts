/** Judges what a caller may do: by its token, else by its certificate. */
import { readFile } from 'node:fs/promises';
import { openReloaded, type Reloaded } from './reloaded.ts';
import type { Scope } from './scope.ts';
import { findToken, parseTokens, type TokenEntry } from './tokens.ts';

/** What a call brings. */
export interface Credentials {
  /** Its header `authorization`. */
  authorization: string | undefined;
  /** The name in a certificate that the client CA has signed. */
  certificate: string | undefined;
  /** Whether it came over loopback or a socket. */
  isLocal: boolean;
}

export interface Refusal {
  reason: 'TOKEN_MISSING' | 'TOKEN_UNKNOWN' | 'TOKEN_EXPIRED' | 'SCOPE_MISSING';
  message: string;
  details: Readonly<Record<string, string>>;
}

/** The name of a token or a certificate, unset where nobody is asked; or why the call may not be. */
export type Verdict = { name: string | undefined; refusal?: undefined } | { refusal: Refusal };

export interface AccessOptions {
  /** A token a line; empty: not set. */
  tokens: string;
  /** A file of such lines; empty: not set. */
  tokensFile: string;
  /** Whether certificates count. */
  hasClientCa: boolean;
  /** What whoever has a certificate may do. */
  clientScopes: readonly Scope[];
}

export interface AccessEvents {
  onLoad(tokens: number): void;
  onBad(error: Error): void;
}

export interface Access {
  /** Whether anybody is asked. */
  readonly isLocked: boolean;
  judge(credentials: Credentials, scope: Scope): Verdict;
  close(): void;
}

/** Rejects where the tokens cannot be read. */
export async function openAccess(options: AccessOptions, events: AccessEvents): Promise<Access> {
  const { hasClientCa } = options;
  const tokens = await openTokens(options, events);
  return {
    isLocked: tokens !== undefined || hasClientCa,
    judge: (credentials, scope) => judge(credentials, scope, tokens?.current, options),
    close: () => tokens?.close(),
  };
}

async function openTokens(
  { tokens, tokensFile }: AccessOptions,
  { onLoad, onBad }: AccessEvents,
): Promise<Reloaded<TokenEntry[]> | undefined> {
  const fixed = tokens === '' ? [] : parseTokens(tokens);
  if (tokensFile !== '') {
    const load = async () => [...fixed, ...parseTokens(await readFile(tokensFile, 'utf8'))];
    return openReloaded({ paths: [tokensFile], load, onLoad: ({ length }) => onLoad(length), onBad });
  }
  return tokens === '' ? undefined : { current: fixed, close: () => undefined };
}

function judge(
  { authorization, certificate, isLocal }: Credentials,
  scope: Scope,
  tokens: readonly TokenEntry[] | undefined,
  { hasClientCa, clientScopes }: AccessOptions,
): Verdict {
  const token = tokens && bearerOf(authorization);
  if (token !== undefined) return judgeToken(findToken(tokens!, token), scope);
  if (hasClientCa && certificate !== undefined) return within(clientScopes, scope, certificate, 'the certificate');
  if (tokens === undefined && (!hasClientCa || isLocal)) return { name: undefined };
  const wanted = tokens === undefined ? 'a client certificate' : 'a token: send it as "authorization: Bearer TOKEN"';
  return refused('TOKEN_MISSING', `this daemon asks for ${wanted}`);
}

function judgeToken(entry: TokenEntry | undefined, scope: Scope): Verdict {
  if (entry === undefined) return refused('TOKEN_UNKNOWN', 'this daemon does not know the token');
  const { name, scopes, expiresAt = Number.POSITIVE_INFINITY } = entry;
  if (Date.now() >= expiresAt) return refused('TOKEN_EXPIRED', `the token ${name} has expired`, { token: name });
  return within(scopes, scope, name, 'the token');
}

function within(scopes: readonly Scope[], scope: Scope, name: string, what: string): Verdict {
  if (scopes.includes(scope)) return { name };
  return refused('SCOPE_MISSING', `${what} ${name} lacks the scope ${scope}`, { needs: scope, token: name });
}

function refused(reason: Refusal['reason'], message: string, details: Refusal['details'] = {}): Verdict {
  return { refusal: { reason, message, details } };
}

/** Returns the token of `Bearer TOKEN`; undefined for anything else, such as the password of a proxy in front. */
function bearerOf(authorization: string | undefined): string | undefined {
  return /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
}
