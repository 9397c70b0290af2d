/** A TCP proxy that breaks its first connections after so many bytes: a network at its worst, in front of a real server. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface CuttingProxy extends AsyncDisposable {
  address: string;
  /** Connections accepted so far. */
  connections(): number;
}

export interface Cut {
  /** Break the connection once so many bytes went to the server. */
  afterUpload?: number;
  /** Break it once so many came back. */
  afterDownload?: number;
}

/** One entry of `cuts` for each connection in turn; those beyond it are left alone. `target` is `host:port`. */
export async function startCuttingProxy(target: string, cuts: readonly Cut[]): Promise<CuttingProxy> {
  const [host, port] = target.split(':');
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer((client) => {
    const cut = cuts[accepted] ?? {};
    accepted += 1;
    const upstream = connect(Number(port), host);
    const breakOff = () => {
      client.resetAndDestroy();
      upstream.destroy();
    };
    forward(client, upstream, cut.afterUpload, breakOff);
    forward(upstream, client, cut.afterDownload, breakOff);
    for (const socket of [client, upstream]) sockets.add(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as { port: number };
  return {
    address: `127.0.0.1:${address.port}`,
    connections: () => accepted,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function forward(from: Socket, to: Socket, limit = Number.POSITIVE_INFINITY, breakOff: () => void): void {
  let passed = 0;
  from.on('data', (bytes) => {
    passed += bytes.length;
    if (passed > limit) breakOff();
    else if (!to.write(bytes)) {
      from.pause();
      to.once('drain', () => from.resume());
    }
  });
  from.on('end', () => to.end());
  from.on('error', () => to.destroy());
}
