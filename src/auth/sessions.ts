/** Sessions of browsers: a cookie that says which token began it, and lasts while it is used and the token does. */

import { type Refusal, refused } from './refusal.ts';
import { codeOf, isSigned, type UrlKey } from './signed-url.ts';
import type { TokenEntry } from './tokens.ts';
import type { UrlKeys } from './url-keys.ts';

/** From its last use. */
const IDLE_MS = 12 * 3600 * 1000;
const LONGEST_MS = 30 * 24 * 3600 * 1000;
/** A cookie is made anew where that gives it so much more time. */
const RENEWED_BY_MS = 3600 * 1000;
const VALUE = /^([\w-]+)\.(\d{1,11})\.(\d{1,11})\.([\w.@-]+)\.([\w-]+)$/;
const PREFIX = 'image_storage_';

export interface SessionCookie {
  name: string;
  value: string;
  /** How long a browser keeps it, in seconds. */
  maxAgeSeconds: number;
}

/** Of a cookie that holds. */
export interface Session {
  entry: TokenEntry;
  /** ms since 1970, whole seconds. */
  begunAt: number;
  endsAt: number;
}

export interface Sessions {
  /** Begins one for the holder of a token. */
  begin(entry: TokenEntry): Promise<SessionCookie>;
  /** Returns the cookie that ends one in its browser. */
  end(): SessionCookie;
  /** Returns what the header `cookie` holds of ours: a session, why it is none, or undefined where nothing is of ours. */
  find(cookies: string): Session | Refusal | undefined;
  /** Returns the cookie that prolongs the session; undefined where there is none, or that is not worth it. */
  prolong(cookies: string): SessionCookie | undefined;
}

export interface SessionOptions {
  keys: UrlKeys;
  /** Returns the token of that name. */
  tokenNamed(name: string): TokenEntry | undefined;
  /** Cookies know no ports: the name keeps those of two daemons on one host apart. Throws while it is not known. */
  storeId(): string;
  now?: () => number;
}

export function createSessions({ keys, tokenNamed, storeId, now = Date.now }: SessionOptions): Sessions {
  const cookieName = () => PREFIX + storeId();
  const sealed = (name: string, key: UrlKey, session: Session): SessionCookie => {
    const maxAgeSeconds = Math.floor((session.endsAt - now()) / 1000);
    return { name, value: seal(key, name, session), maxAgeSeconds };
  };
  const find = (cookies: string): Session | Refusal | undefined => {
    if (!cookies.includes(PREFIX)) return undefined;
    const name = cookieName();
    const found = valuesOf(cookies, name).map((value) => open(value, name, keys.known(), tokenNamed, now()));
    return found.find((each) => 'entry' in each) ?? found[0];
  };
  return {
    async begin(entry) {
      // Where the store is not there, the place of the keys may not be either.
      const name = cookieName();
      return sealed(name, await keys.signing(), { entry, begunAt: now(), endsAt: endOf(now(), entry, now()) });
    },
    end: () => ({ name: cookieName(), value: '', maxAgeSeconds: 0 }),
    find,
    prolong(cookies) {
      const session = find(cookies);
      if (session === undefined || !('entry' in session)) return undefined;
      const endsAt = endOf(session.begunAt, session.entry, now());
      if (endsAt - session.endsAt < RENEWED_BY_MS) return undefined;
      return sealed(cookieName(), keys.known()[0]!, { ...session, endsAt });
    },
  };
}

function endOf(begunAt: number, { expiresAt = Number.POSITIVE_INFINITY }: TokenEntry, now: number): number {
  return Math.min(now + IDLE_MS, begunAt + LONGEST_MS, expiresAt);
}

/** A browser sends two of one name where they were set for two paths. */
function valuesOf(cookies: string, name: string): string[] {
  return cookies
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1));
}

function seal(key: UrlKey, cookie: string, { entry, begunAt, endsAt }: Session): string {
  const [begun, ends] = [begunAt, endsAt].map((ms) => `${Math.floor(ms / 1000)}`) as [string, string];
  return [key.id, begun, ends, entry.name, codeOf(key, covered(cookie, begun, ends, entry))].join('.');
}

function open(
  value: string,
  cookie: string,
  keys: readonly UrlKey[],
  tokenNamed: SessionOptions['tokenNamed'],
  now: number,
): Session | Refusal {
  const [, keyId = '', begun = '', ends = '', token = '', code = ''] = VALUE.exec(value) ?? [];
  const entry = tokenNamed(token);
  if (entry === undefined || !isSigned(keys, keyId, covered(cookie, begun, ends, entry), code)) {
    return refused('TOKEN_UNKNOWN', 'this daemon does not know the session, or its token is gone: begin another one');
  }
  const endsAt = Math.min(Number(ends) * 1000, entry.expiresAt ?? Number.POSITIVE_INFINITY);
  if (now >= endsAt) return refused('TOKEN_EXPIRED', 'the session is over: begin another one', { token });
  return { entry, begunAt: Number(begun) * 1000, endsAt };
}

/** Good in this cookie only, and for this very token: another one of its name has another sha256. */
function covered(cookie: string, begun: string, ends: string, { name, sha256 }: TokenEntry): string[] {
  return ['session', cookie, begun, ends, name, sha256.toString('hex')];
}
