/** Says who is at the other end of a connection. */
import { isIPv6, type Socket } from 'node:net';
import type { Caller } from '../storage/domain/caller.ts';

const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
/** What one customer or machine is given: it may use any address within. */
const GROUPS_OF_A_SUBNET = 4;
const GROUPS = 8;

let connections = 0;

/** Returns a caller for a new connection; one over a Unix socket is a peer of its own. */
export function callerOf({ remoteAddress }: Socket, isLocal: boolean): Caller {
  connections += 1;
  const peer = remoteAddress === undefined ? `unix:${connections}` : peerOf(remoteAddress);
  return { peer, connection: connections, isLocal };
}

export function isLoopback(address: string): boolean {
  const v4 = MAPPED_IPV4.exec(address)?.[1] ?? address;
  return v4.startsWith('127.') || address === '::1';
}

/** An IPv4 address as it is; of an IPv6 address the first 64 bits. */
export function peerOf(address: string): string {
  const mapped = MAPPED_IPV4.exec(address)?.[1];
  if (mapped !== undefined || !isIPv6(address)) return mapped ?? address;
  const [before = '', after] = address.split('%', 1)[0]!.split('::');
  const head = before.split(':').filter(Boolean);
  const tail = after?.split(':').filter(Boolean) ?? [];
  const zeros = Array<string>(Math.max(GROUPS - head.length - tail.length, 0)).fill('0');
  const groups = [...head, ...zeros, ...tail].slice(0, GROUPS_OF_A_SUBNET);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}
