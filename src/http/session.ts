/** Sessions of the page: `/session` exchanges a token for a cookie, says what its holder may do, and ends it. */
import type { Access, Admitted, Verdict } from '../auth/access.ts';
import { SCOPES } from '../auth/scope.ts';
import type { SessionCookie, Sessions } from '../auth/sessions.ts';
import { credentialsOf, refusalError } from '../rpc/gate.ts';
import { sendJson } from './errors.ts';
import type { Exchange, PlainRoute } from './plain-routes.ts';
import type { Handler, HttpRequest } from './router.ts';

const PATH = /^\/session$/;
const NAME = '/session';

export interface SessionOptions {
  access: Access;
  /** Below which the page is; empty: at the root. */
  prefix: string;
  about(): About;
}

/** What the page tells its readers of the daemon. */
export interface About {
  /** How the program is called where it is installed, such as `npm run cli --`. */
  command: string;
  /** `unavailable`: nothing here decodes images. */
  previews: 'made' | 'off' | 'unavailable';
}

/** Anybody may ask: who has no token is told so. */
export function sessionRoutes(options: SessionOptions): PlainRoute[] {
  return [
    { methods: ['GET', 'HEAD'], path: PATH, scope: 'none', name: NAME, answer: (asked) => describe(asked, options) },
    { methods: ['POST'], path: PATH, scope: 'none', name: NAME, answer: (asked) => begin(asked, options) },
    { methods: ['DELETE'], path: PATH, scope: 'none', name: NAME, answer: (asked) => end(asked, options) },
  ];
}

/** Prolongs the session of whoever comes with its cookie. `isKept`: whether caches keep the answer, and a cookie with it. */
export function prolongSessions(
  next: Handler,
  isKept: (request: HttpRequest) => boolean,
  options: SessionOptions,
): Handler {
  const { sessions } = options.access;
  return (request, response, caller) => {
    const { cookie } = request.headers;
    const longer = cookie === undefined || isKept(request) ? undefined : prolonged(sessions, cookie);
    if (longer !== undefined) response.setHeader('set-cookie', headerOf(longer, caller.isSecure, options));
    next(request, response, caller);
  };
}

/** Why a session cannot be told is for who asks whether it holds. */
function prolonged(sessions: Sessions, cookie: string): SessionCookie | undefined {
  try {
    return sessions.prolong(cookie);
  } catch {
    return undefined;
  }
}

async function describe({ request, response, caller }: Exchange, options: SessionOptions): Promise<void> {
  sendJson(response, 200, sessionJson(options, credentialsOf(request.headers, caller)));
}

async function begin(exchange: Exchange, options: SessionOptions): Promise<void> {
  const { request, response, caller } = exchange;
  const { access } = options;
  const { authorization } = request.headers;
  // Where no token is asked for, there is nothing to exchange.
  if (!access.hasTokens) return describe(exchange, options);
  const entry = access.tokenOf(authorization);
  if ('reason' in entry) throw refusalError(entry);
  const cookie = await access.sessions.begin(entry);
  const json = sessionJson(options, { cookie: `${cookie.name}=${cookie.value}`, isLocal: false });
  sendJson(response, 200, json, { 'set-cookie': headerOf(cookie, caller.isSecure, options) });
}

async function end({ response, caller }: Exchange, options: SessionOptions): Promise<void> {
  const cookie = headerOf(options.access.sessions.end(), caller.isSecure, options);
  sendJson(response, 200, JSON.stringify({}), { 'set-cookie': cookie });
}

type Credentials = Partial<ReturnType<typeof credentialsOf>> & { isLocal: boolean };

function sessionJson({ access: { isLocked, judge }, about }: SessionOptions, given: Credentials): string {
  const credentials = { authorization: undefined, certificate: undefined, ...given };
  const verdicts = SCOPES.map((scope) => [scope, judge(credentials, scope)] as const);
  const admitted = verdicts.map(([, verdict]) => verdict).find(isAdmitted);
  const { way, name, endsAt } = admitted ?? {};
  return JSON.stringify({
    locked: isLocked,
    scopes: verdicts.filter(([, verdict]) => isAdmitted(verdict)).map(([scope]) => scope),
    token: name,
    ...(way === 'session' && { expires: new Date(endsAt!).toISOString() }),
    ...about(),
  });
}

function isAdmitted(verdict: Verdict): verdict is Admitted {
  return verdict.refusal === undefined;
}

function headerOf({ name, value, maxAgeSeconds }: SessionCookie, isSecure = false, { prefix }: SessionOptions): string {
  const cookie = `${name}=${value}; Max-Age=${maxAgeSeconds}; Path=${prefix || '/'}; HttpOnly; SameSite=Strict`;
  return isSecure ? `${cookie}; Secure` : cookie;
}
