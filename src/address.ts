/** The addresses of daemons: `host:port`, `[v6]:port` and `unix:PATH`. */
import { isIPv4 } from 'node:net';

/** Where a daemon listens, and where clients look for it, unless told otherwise. */
export const DEFAULT_ADDRESS = '127.0.0.1:50051';

/** Port 0 picks a free one; a path is that of a Unix socket. */
export type Address = { host: string; port: number } | { path: string };

export const ADDRESS_FORMS = 'host:port, [v6]:port or unix:PATH';

/** Undefined for what is none. */
export function parseAddress(text: string): Address | undefined {
  // A URL has a host between two slashes and the third; clients of gRPC know nothing of it, or take it for a folder.
  const socket = /^unix:(?!\/\/(?!\/))(.+)$/.exec(text);
  if (socket) return { path: socket[1]! };
  const match = /^(?:\[([\da-f:.]+)\]|([\w.-]+)):(\d{1,5})$/i.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

export function formatAddress(address: Address): string {
  if ('path' in address) return `unix:${address.path}`;
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Whether only this machine can reach it. */
export function isLocalAddress(address: Address): boolean {
  if ('path' in address) return true;
  const { host } = address;
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}
