/** A TCP proxy that breaks or stalls its first connections: a network at its worst, in front of a real server. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface CuttingProxy extends AsyncDisposable {
  address: string;
  /** Connections accepted so far. */
  connections(): number;
  /** Lets what is stalled go on. */
  release(): void;
}

export interface Cut {
  /** Break the connection once so many bytes went to the server. */
  afterUpload?: number;
  /** Break it once so many came back. */
  afterDownload?: number;
  /** Break it, or let nothing more come back, in place of the first answer: what was asked for is done, and nobody hears it. */
  atAnswer?: 'break' | 'stall';
  /** Let nothing more go to the server once so many bytes did. */
  stallAfterUpload?: number;
}

type Verdict = 'pass' | 'break' | 'stall';
/** Sees what comes through one direction of one connection. */
type Judge = (bytes: Buffer) => Verdict;

/** grpcio 1.62 misses a reset that comes with the last bytes, until its keepalive 30 s later: it gets time to read them. */
const READ_MS = 20;
const FRAME_HEADER_BYTES = 9;
const HEADERS_FRAME = 1;

/** One entry of `cuts` for each connection in turn; those beyond it are left alone. `target` is `host:port`. */
export async function startCuttingProxy(target: string, cuts: readonly Cut[]): Promise<CuttingProxy> {
  const [host, port] = target.split(':');
  const sockets = new Set<Socket>();
  const stalled: (() => void)[] = [];
  let accepted = 0;
  const server = createServer((client) => {
    const cut = cuts[accepted] ?? {};
    accepted += 1;
    const upstream = connect(Number(port), host);
    const breakOff = () => {
      client.resetAndDestroy();
      upstream.destroy();
    };
    const breakOnceRead = () => {
      upstream.pause();
      setTimeout(breakOff, READ_MS);
    };
    forward(client, upstream, uploadJudge(cut), { breakOff, stalled });
    forward(upstream, client, downloadJudge(cut), { breakOff: breakOnceRead, stalled });
    for (const socket of [client, upstream]) sockets.add(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as { port: number };
  return {
    address: `127.0.0.1:${address.port}`,
    connections: () => accepted,
    release() {
      for (const goOn of stalled.splice(0)) goOn();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function uploadJudge({ afterUpload = Infinity, stallAfterUpload = Infinity }: Cut): Judge {
  let passed = 0;
  return ({ length }) => {
    passed += length;
    if (passed > afterUpload) return 'break';
    return passed > stallAfterUpload ? 'stall' : 'pass';
  };
}

function downloadJudge({ afterDownload = Infinity, atAnswer }: Cut): Judge {
  let passed = 0;
  const answers = answerFinder();
  return (bytes) => {
    passed += bytes.length;
    if (passed > afterDownload) return 'break';
    return atAnswer && answers(bytes) ? atAnswer : 'pass';
  };
}

/** True when a HEADERS frame ends in these bytes of a server (RFC 9113, section 4.1). */
function answerFinder(): (bytes: Buffer) => boolean {
  let rest: Buffer = Buffer.alloc(0);
  return (bytes) => {
    let found = false;
    rest = Buffer.concat([rest, bytes]);
    while (rest.length >= FRAME_HEADER_BYTES) {
      const length = FRAME_HEADER_BYTES + rest.readUIntBE(0, 3);
      if (rest.length < length) break;
      found ||= rest[3] === HEADERS_FRAME;
      rest = rest.subarray(length);
    }
    return found;
  };
}

function forward(
  from: Socket,
  to: Socket,
  judge: Judge,
  { breakOff, stalled }: { breakOff: () => void; stalled: (() => void)[] },
): void {
  let released = false;
  const stall = (bytes: Buffer) => {
    from.pause().unshift(bytes);
    stalled.push(() => {
      released = true;
      from.resume();
    });
  };
  from.on('data', (bytes) => {
    const verdict = released ? 'pass' : judge(bytes);
    if (verdict === 'break') breakOff();
    else if (verdict === 'stall') stall(bytes);
    else if (!to.write(bytes)) {
      from.pause();
      to.once('drain', () => from.resume());
    }
  });
  from.on('end', () => to.end());
  from.on('error', () => to.destroy());
}
