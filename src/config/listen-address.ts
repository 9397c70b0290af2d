/** The addresses a daemon can listen on: `host:port`, `[v6]:port` and `unix:PATH`. */
import { isIPv4 } from 'node:net';

/** Port 0 picks a free one. */
export type ListenAddress = { host: string; port: number } | { path: string };

export const LISTEN_FORMS = 'host:port, [v6]:port or unix:PATH';

/** Undefined for what is none. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  if (text.startsWith('unix:')) return text.length > 'unix:'.length ? { path: text.slice('unix:'.length) } : undefined;
  const match = /^(?:\[([\da-f:.]+)\]|([\w.-]+)):(\d{1,5})$/i.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

/** Whether only this machine can reach it. */
export function isLocalAddress(address: ListenAddress): boolean {
  if ('path' in address) return true;
  const { host } = address;
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}
