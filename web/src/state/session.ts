/** What the reader of the page may do, and the way in where the daemon asks for a token. */
import { signal } from '@preact/signals';
import { CallError } from '../api/call.ts';
import { beginSession, describeSession, endSession, type Scope, type Session } from '../api/session.ts';
import { reload } from './gallery.ts';
import { decoded } from './url.ts';

/** Undefined: not known yet. */
export const session = signal<Session | undefined>(undefined);
/** Why the token that was given last does not open the gallery. */
export const tokenProblem = signal<CallError | undefined>(undefined);

/** Of the program: it needs no word of them. */
const DEFAULT_ADDRESSES = ['127.0.0.1:50051', 'localhost:50051'];
const IN_ADDRESS = /^#t=(.+)$/;

/** What is not known yet is allowed: the daemon decides. */
export function may(scope: Scope): boolean {
  return session.value?.scopes.includes(scope) ?? true;
}

/** A command line of the daemon's program that reaches this daemon. */
export function commandLine(command: string): string {
  const program = session.value?.command ?? 'image-storage';
  const { protocol, hostname, port } = location;
  const address = protocol === 'https:' ? `https://${hostname}:${port || 443}` : `${hostname}:${port || 80}`;
  return `${program} ${command}${DEFAULT_ADDRESSES.includes(address) ? '' : ` --address ${address}`}`;
}

/** Exchanges the token that a link carries, if it does, before anything is asked for. Then finds out what may be done. */
export async function startSession(): Promise<void> {
  // A link that is opened where the page is open already loads nothing.
  addEventListener('hashchange', () => {
    const token = takeToken();
    if (token !== undefined) void unlock(token);
  });
  const token = takeToken();
  if (token !== undefined) await exchange(token);
  if (session.value === undefined) void describe();
}

/** Neither the address bar, nor the history, nor a shared link is to hold it. */
function takeToken(): string | undefined {
  const [, token] = IN_ADDRESS.exec(location.hash) ?? [];
  if (token === undefined) return undefined;
  history.replaceState(history.state, '', location.pathname + location.search);
  return decoded(token);
}

/** Opens the gallery with a token, or says why not. */
export async function unlock(token: string): Promise<void> {
  await exchange(token);
  if (tokenProblem.value === undefined) await reload();
}

/** Ends the session: the page asks for a token then. Rejects as `endSession`. */
export async function lock(): Promise<void> {
  await endSession();
  location.reload();
}

/** What is copied from a page or a message may have more around it, and in it, than one sees. */
const INVISIBLE = /[\s\p{Cf}]/gu;

async function exchange(token: string): Promise<void> {
  try {
    session.value = await beginSession(token.replace(INVISIBLE, ''));
    tokenProblem.value = undefined;
  } catch (error) {
    tokenProblem.value = error as CallError;
  }
}

/** Finds out what may be done, and what the daemon is. */
export async function describe(): Promise<void> {
  try {
    session.value = await describeSession();
  } catch (error) {
    // Offline, which the images tell, too.
    if (!(error instanceof CallError)) throw error;
  }
}
