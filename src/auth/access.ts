/** Judges what a caller may do: by its token, else by a signature, a session or its certificate. */
import { readFile } from 'node:fs/promises';
import { createLinks, type Links, makerOf, type OpenLink } from './links.ts';
import { type Refusal, refused } from './refusal.ts';
import { openReloaded, type Reloaded } from './reloaded.ts';
import type { Scope } from './scope.ts';
import { createSessions, type Session, type Sessions } from './sessions.ts';
import type { SignedTarget } from './signed-url.ts';
import { findToken, parseTokens, type TokenEntry } from './tokens.ts';
import type { UrlKeys } from './url-keys.ts';

/** What a call brings. */
export interface Credentials {
  /** Its header `authorization`. */
  authorization: string | undefined;
  /** Its header `cookie`, where cookies count. */
  cookie?: string | undefined;
  /** Its URL, where a signature counts. */
  target?: SignedTarget | undefined;
  /** The name in a certificate that the client CA has signed. */
  certificate: string | undefined;
  /** Whether it came over loopback or a socket. */
  isLocal: boolean;
}

/** How a caller is known: `open` where nobody is asked. */
export type Way = 'token' | 'link' | 'session' | 'certificate' | 'open';

export interface Admitted {
  way: Way;
  /** Of the token or the certificate; unset where nobody is asked. */
  name: string | undefined;
  /** Who asks for a link that this caller signs. */
  by: string;
  /** When a link or a session ends: ms since 1970. */
  endsAt?: number;
  refusal?: undefined;
}

/** Who the caller is, or why the call may not be. */
export type Verdict = Admitted | { refusal: Refusal };

export interface AccessOptions {
  /** A token a line; empty: not set. */
  tokens: string;
  /** A file of such lines; empty: not set. */
  tokensFile: string;
  /** Whether certificates count. */
  hasClientCa: boolean;
  /** What whoever has a certificate may do. */
  clientScopes: readonly Scope[];
  /** What signs links and sessions. */
  keys: UrlKeys;
  /** Returns the id by which sessions of two daemons on one host are told apart. Throws while it is not known. */
  storeId(): string;
}

export interface AccessEvents {
  onLoad(tokens: number): void;
  onBad(error: Error): void;
}

export interface Access {
  /** Whether anybody is asked. */
  readonly isLocked: boolean;
  /** Whether a token may be asked for. */
  readonly hasTokens: boolean;
  readonly links: Links;
  readonly sessions: Sessions;
  judge(credentials: Credentials, scope: Scope): Verdict;
  /** Whether a call with this header is judged by its token alone. */
  countsToken(authorization: string | undefined): boolean;
  /** Whether the URL opens an image to whoever has it. */
  isLink(target: SignedTarget): boolean;
  /** Returns the token of this header, or why it is none. */
  tokenOf(authorization: string | undefined): TokenEntry | Refusal;
  close(): void;
}

/** Rejects where the tokens cannot be read. */
export async function openAccess(options: AccessOptions, events: AccessEvents): Promise<Access> {
  const { hasClientCa, keys, storeId } = options;
  const reloaded = await openTokens(options, events);
  const tokens = () => reloaded?.current;
  const tokenNamed = (wanted: string) => tokens()?.find(({ name }) => name === wanted);
  const links = createLinks({ ...options, tokens });
  const sessions = createSessions({ keys, tokenNamed, storeId });
  return {
    isLocked: reloaded !== undefined || hasClientCa,
    hasTokens: reloaded !== undefined,
    links,
    sessions,
    judge: (credentials, scope) => judge(credentials, scope, { ...options, tokens: tokens(), links, sessions }),
    countsToken: (authorization) => reloaded !== undefined && bearerOf(authorization) !== undefined,
    isLink: (target) => isOpen(links.find(target)),
    tokenOf: (authorization) => tokenOf(bearerOf(authorization), tokens()),
    close: () => reloaded?.close(),
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

interface Lock extends Pick<AccessOptions, 'hasClientCa' | 'clientScopes'> {
  tokens: readonly TokenEntry[] | undefined;
  links: Links;
  sessions: Sessions;
}

/** A token stands alone. What else there is counts where it holds: a link that is over takes nothing from a session. */
function judge(credentials: Credentials, scope: Scope, lock: Lock): Verdict {
  const { authorization, cookie, target, certificate, isLocal } = credentials;
  const { tokens, links, sessions, hasClientCa, clientScopes } = lock;
  const token = tokens && bearerOf(authorization);
  if (token !== undefined) return judgeToken(tokenOf(token, tokens), scope);
  const link = target && links.find(target);
  if (isOpen(link) && scope === 'read') return { ...link, way: 'link', by: makerOf.nobody };
  const session = cookie !== undefined && tokens !== undefined ? sessions.find(cookie) : undefined;
  if (session !== undefined && 'entry' in session) return judgeSession(session, scope);
  if (hasClientCa && certificate !== undefined) {
    const admitted: Admitted = { way: 'certificate', name: certificate, by: makerOf.certificate(certificate) };
    return within(clientScopes, scope, admitted);
  }
  if (tokens === undefined && (!hasClientCa || isLocal)) {
    return { way: 'open', name: undefined, by: hasClientCa ? makerOf.certificate() : makerOf.nobody };
  }
  return { refusal: [link, session].find(isRefusal) ?? missing(tokens) };
}

function judgeToken(entry: TokenEntry | Refusal, scope: Scope): Verdict {
  if (isRefusal(entry)) return { refusal: entry };
  const { name, scopes } = entry;
  return within(scopes, scope, { way: 'token', name, by: makerOf.token(name) });
}

function judgeSession({ entry: { name, scopes }, endsAt }: Session, scope: Scope): Verdict {
  const admitted: Admitted = { way: 'session', name, by: makerOf.token(name), endsAt };
  return within(
    scopes.filter((each) => each !== 'admin'),
    scope,
    admitted,
  );
}

function tokenOf(token: string | undefined, tokens: readonly TokenEntry[] | undefined): TokenEntry | Refusal {
  if (token === undefined || tokens === undefined) return missing(tokens);
  const entry = findToken(tokens, token);
  if (entry === undefined) return refused('TOKEN_UNKNOWN', 'this daemon does not know the token');
  const { name, expiresAt = Number.POSITIVE_INFINITY } = entry;
  if (Date.now() < expiresAt) return entry;
  return refused('TOKEN_EXPIRED', `the token ${name} has expired`, { token: name });
}

const WHAT: Readonly<Record<Way, string>> = {
  token: 'the token',
  link: 'the link',
  session: 'the session of the token',
  certificate: 'the certificate',
  open: '',
};

function within(scopes: readonly Scope[], scope: Scope, admitted: Admitted): Verdict {
  if (scopes.includes(scope)) return admitted;
  const { way, name = '' } = admitted;
  const message = `${WHAT[way]} ${name} lacks the scope ${scope}`;
  return { refusal: refused('SCOPE_MISSING', message, { needs: scope, token: name }) };
}

function missing(tokens: readonly TokenEntry[] | undefined): Refusal {
  const wanted = tokens === undefined ? 'a client certificate' : 'a token: send it as "authorization: Bearer TOKEN"';
  return refused('TOKEN_MISSING', `this daemon asks for ${wanted}`);
}

function isOpen(link: OpenLink | Refusal | undefined): link is OpenLink {
  return link !== undefined && 'endsAt' in link;
}

function isRefusal(value: object | undefined): value is Refusal {
  return value !== undefined && 'reason' in value;
}

/** Returns the token of `Bearer TOKEN`; undefined for anything else, such as the password of a proxy in front. */
function bearerOf(authorization: string | undefined): string | undefined {
  return /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
}
