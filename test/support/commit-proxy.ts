/** Proxies in front of a Postgres and of an S3 server that cut connections around what commits: each COMMIT, each PUT. */
import { once } from 'node:events';
import { connect, createServer, type NetConnectOpts, type Socket } from 'node:net';

/** `before`: the server never gets it. `during`: nobody waits for its answer. `after`: it is done, and nobody hears it. */
export type CutMoment = 'before' | 'during' | 'after';

export const CUT_MOMENTS: readonly CutMoment[] = ['before', 'during', 'after'];

export interface CommitProxy extends AsyncDisposable {
  /** Of the server, through the proxy. */
  url: string;
  /** How often connections were cut at each moment. */
  readonly cuts: Readonly<Record<CutMoment, number>>;
  /** Cuts all connections, and lets nobody in until `mend`. */
  break(): void;
  mend(): void;
}

/** Returns undefined where the connection is to stay; asked at each COMMIT or PUT. */
type CutAt = () => CutMoment | undefined;

const COMMIT = Buffer.from('COMMIT\0');
const PUT = Buffer.from('PUT /');

/** `url` has the folder of a socket as its host. */
export async function startPostgresProxy(url: string, cutAt: CutAt = () => undefined): Promise<CommitProxy> {
  const { searchParams, username, pathname } = new URL(url.replace('@/', '@socket/'));
  const target = { path: `${searchParams.get('host')}/.s.PGSQL.5432` };
  const { proxy, port } = await startProxy(target, (bytes) => bytes.includes(COMMIT), cutAt);
  return Object.assign(proxy, { url: `postgres://${username}@127.0.0.1:${port}${pathname}` });
}

export async function startS3Proxy(endpoint: string, cutAt: CutAt): Promise<CommitProxy> {
  const { hostname: host, port: behind } = new URL(endpoint);
  const isPut = (bytes: Buffer) => bytes.subarray(0, PUT.length).equals(PUT);
  const { proxy, port } = await startProxy({ host, port: Number(behind) }, isPut, cutAt);
  return Object.assign(proxy, { url: `http://127.0.0.1:${port}` });
}

async function startProxy(target: NetConnectOpts, commits: (bytes: Buffer) => boolean, cutAt: CutAt) {
  const sockets = new Set<Socket>();
  const cuts = { before: 0, during: 0, after: 0 };
  let isBroken = false;
  const server = createServer((client) => {
    const upstream = connect(target);
    tie(client, upstream, sockets);
    const cut = () => {
      client.resetAndDestroy();
      upstream.destroy();
    };
    if (isBroken) return cut();
    let last: CutMoment | undefined;
    client.on('data', (bytes) => {
      if (last !== undefined) return;
      last = commits(bytes) ? cutAt() : undefined;
      if (last !== undefined) cuts[last] += 1;
      if (last === 'before') return cut();
      upstream.write(bytes);
      // The server reads what it was sent before the end.
      if (last === 'during') upstream.end(() => client.resetAndDestroy());
    });
    upstream.on('data', (bytes) => {
      if (last === undefined) client.write(bytes);
      else cut();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const breakAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  const proxy = {
    cuts,
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
  return { proxy, port: (server.address() as { port: number }).port };
}

/** What happens to one happens to the other. */
function tie(one: Socket, other: Socket, sockets: Set<Socket>): void {
  for (const [socket, peer] of [
    [one, other],
    [other, one],
  ] as const) {
    sockets.add(socket);
    socket.on('error', () => peer.destroy());
    socket.on('end', () => peer.end());
    socket.on('close', () => {
      sockets.delete(socket);
      peer.destroy();
    });
  }
}
