/** The addresses of daemons: `host:port`, `[v6]:port` and `unix:PATH`, and for clients `https://host`. */
import { isIPv4 } from 'node:net';

/** The default address of the daemon and of its clients. */
export const DEFAULT_ADDRESS = '127.0.0.1:50051';
const DEFAULT_PORT = 50051;

/** Port 0 picks a free port; `path` is that of a Unix socket. */
export type Address = { host: string; port: number } | { path: string };

export const ADDRESS_FORMS = 'host:port, [v6]:port or unix:PATH';

/** Returns the address, or undefined for any other text. */
export function parseAddress(text: string): Address | undefined {
  // `unix://host/path` names a host, which gRPC clients do not support or take for a folder.
  const socket = /^unix:(?!\/\/(?!\/))(.+)$/.exec(text);
  if (socket) return { path: socket[1]! };
  const match = /^(?:\[([\da-f:.]+)\]|([\w.-]+)):(\d{1,5})$/i.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

/** Where a client finds a daemon. */
export interface Target {
  /** `host:port`, `[v6]:port` or `unix:PATH` */
  address: string;
  isTls: boolean;
}

export const TARGET_FORMS = `${ADDRESS_FORMS}, or https://host:port for TLS`;

/** Returns where to connect, or undefined for any other text. A host without a port has the default one. */
export function parseTarget(text: string): Target | undefined {
  const [, host, port = ':443'] = /^https:\/\/(\[[\da-f:.]+\]|[\w.-]+)(:\d{1,5})?\/?$/i.exec(text) ?? [];
  const isHost = /^(\[[\da-f:.]+\]|[\w.-]+)$/i.test(text);
  const address = isHost ? `${text}:${DEFAULT_PORT}` : host === undefined ? text : host + port;
  return parseAddress(address) && { address, isTls: host !== undefined };
}

export function formatAddress(address: Address): string {
  if ('path' in address) return `unix:${address.path}`;
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Returns whether only this machine can reach the address. */
export function isLocalAddress(address: Address): boolean {
  if ('path' in address) return true;
  const { host } = address;
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}
