/** The session of the page: a token is exchanged for a cookie, which the page itself never sees. */
import { ask, CallError } from './call.ts';

export type Scope = 'read' | 'write' | 'delete' | 'admin';

export interface Session {
  /** Whether the daemon asks for a token at all. */
  isLocked: boolean;
  scopes: readonly Scope[];
  /** Whether it is one that can be ended: begun here by a token. */
  isOurs: boolean;
  /** How the daemon's program is called where it is installed, such as `npm run cli --`. */
  command: string;
  /** Whether small pictures cannot be made there: a package is missing. */
  lacksPreviews: boolean;
}

interface SessionJson {
  locked: boolean;
  scopes: Scope[];
  /** Only of a session. */
  expires?: string;
  /** An older daemon says neither. */
  command?: string;
  previews?: string;
}

/** Rejects as `ask`. */
export async function describeSession(): Promise<Session> {
  return sessionOf(await ask<SessionJson>('session', {}));
}

/** What a header can carry; a browser sends nothing else. */
const PLAIN = /^[!-~]+$/;

/** Rejects with TOKEN_UNKNOWN or TOKEN_EXPIRED, or as `ask`. */
export async function beginSession(token: string): Promise<Session> {
  if (!PLAIN.test(token)) throw new CallError('this is no token', { status: 401, reason: 'TOKEN_UNKNOWN' });
  return sessionOf(
    await ask<SessionJson>('session', { method: 'POST', headers: { authorization: `Bearer ${token}` } }),
  );
}

/** Rejects as `ask`. */
export async function endSession(): Promise<void> {
  await ask('session', { method: 'DELETE' });
}

function sessionOf({ locked, scopes, expires, command = 'image-storage', previews }: SessionJson): Session {
  const lacksPreviews = previews === 'unavailable';
  return { isLocked: locked, scopes, isOurs: expires !== undefined, command, lacksPreviews };
}
