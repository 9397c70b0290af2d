/** Takes TLS off connections, and tells the protocol and the certificate that their clients have agreed on. */
import type { Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import type { TlsIdentity } from '../auth/tls.ts';
import type { Logger } from '../storage/domain/logger.ts';
import type { Connection } from './connections.ts';
import type { Protocol } from './first-bytes.ts';

export interface TlsOptions {
  identity: TlsIdentity;
  /** How long a handshake may take. */
  handshakeMs: number;
  log: Logger;
  /** Called with the connection of each that is done. */
  serve(connection: Connection, protocol: Protocol): void;
}

export interface TlsServer {
  take(connection: Connection): void;
  /** For connections that come from now on. */
  renew(identity: TlsIdentity): void;
}

export function createTls({ identity, handshakeMs, log, serve }: TlsOptions): TlsServer {
  const server = createServer({
    ...contextOf(identity),
    ALPNProtocols: ['h2', 'http/1.1'],
    // Asked for, never demanded: a call may have a token instead.
    requestCert: identity.ca !== undefined,
    rejectUnauthorized: false,
    handshakeTimeout: handshakeMs,
  });
  const shaking = new Map<string, Connection>();
  server.on('secureConnection', (socket) => {
    const connection = shaking.get(endsOf(socket));
    if (connection === undefined || socket.destroyed) {
      socket.destroy();
      return;
    }
    shaking.delete(endsOf(socket));
    // A connection that fails has a listener of whoever serves it, too.
    socket.on('error', () => {});
    connection.socket = socket;
    connection.caller = { ...connection.caller, isSecure: true, certificate: certificateOf(socket) };
    serve(connection, socket.alpnProtocol === 'h2' ? 'h2' : 'http/1.1');
  });
  server.on('tlsClientError', (error, socket) => {
    log.debug({ err: error }, 'a handshake failed');
    socket.destroy();
  });
  return {
    take(connection) {
      const ends = endsOf(connection.socket);
      shaking.set(ends, connection);
      connection.socket.once('close', () => shaking.get(ends) === connection && shaking.delete(ends));
      server.emit('connection', connection.socket);
    },
    renew: (renewed) => server.setSecureContext(contextOf(renewed)),
  };
}

function contextOf({ cert, key, ca }: TlsIdentity) {
  return { cert, key, ca, minVersion: 'TLSv1.2' as const };
}

/** The same for a connection and for what takes TLS off it. */
function endsOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string {
  return [localAddress, localPort, remoteAddress, remotePort].join(' ');
}

/** Returns the name in a certificate that the CA has signed. */
function certificateOf(socket: TLSSocket): string | undefined {
  if (!socket.authorized) return undefined;
  const { subject, fingerprint256 } = socket.getPeerCertificate();
  const name = subject?.CN;
  return (Array.isArray(name) ? name[0] : name) ?? fingerprint256;
}
