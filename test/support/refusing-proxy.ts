/** Proxies that pass nothing on: each answers every call with its HTTP status and a page, as nginx does. */
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';

export interface RefusingProxy extends AsyncDisposable {
  /** `host:port` */
  address: string;
}

export async function startRefusing(status: number): Promise<RefusingProxy> {
  const server = createServer();
  server.on('session', (session) => session.on('error', () => {}));
  server.on('stream', (stream) => {
    stream.on('error', () => {}).resume();
    stream.respond({ ':status': status, server: 'nginx', 'content-type': 'text/html' });
    stream.end(`<html><head><title>${status}</title></head></html>`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}
