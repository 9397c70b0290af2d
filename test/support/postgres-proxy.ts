/** A proxy in front of a Postgres that cuts connections around the COMMIT of a transaction, or all of them. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** `before`: the server never gets it. `during`: nobody waits for its answer. `after`: it is done, and nobody hears it. */
export type CutMoment = 'before' | 'during' | 'after';

export interface PostgresProxy extends AsyncDisposable {
  /** Of the same database, through the proxy. */
  url: string;
  /** How often connections were cut at a COMMIT. */
  readonly cuts: number;
  /** Cuts all connections, and lets nobody in until `mend`. */
  break(): void;
  mend(): void;
}

const COMMIT = Buffer.from('COMMIT\0');

/** `cutAt` is asked at each COMMIT, and returns undefined where it is to pass. `url` has a folder of a socket as its host. */
export async function startPostgresProxy(
  url: string,
  cutAt: () => CutMoment | undefined = () => undefined,
): Promise<PostgresProxy> {
  const { searchParams, username, pathname } = new URL(url.replace('@/', '@socket/'));
  const path = `${searchParams.get('host')}/.s.PGSQL.5432`;
  const sockets = new Set<Socket>();
  let [cuts, isBroken] = [0, false];
  const server = createServer((client) => {
    const upstream = connect({ path });
    const cut = () => {
      client.resetAndDestroy();
      upstream.destroy();
    };
    let onAnswer: (() => void) | undefined;
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    if (isBroken) return cut();
    client.on('data', (bytes) => {
      const moment = bytes.includes(COMMIT) ? cutAt() : undefined;
      if (moment !== undefined) cuts += 1;
      if (moment === 'before') return cut();
      if (moment === 'after') onAnswer = cut;
      upstream.write(bytes);
      // The server reads what it was sent before the end.
      if (moment === 'during') upstream.end(() => client.resetAndDestroy());
    });
    upstream.on('data', (bytes) => {
      if (onAnswer === undefined) client.write(bytes);
      else onAnswer();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const breakAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `postgres://${username}@127.0.0.1:${port}${pathname}`,
    get cuts() {
      return cuts;
    },
    break() {
      isBroken = true;
      breakAll();
    },
    mend() {
      isBroken = false;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      breakAll();
    },
  };
}
