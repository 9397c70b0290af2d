/** Proxies in front: what they say of whoever they hand on counts only where they are trusted. */
import type { IncomingHttpHeaders } from 'node:http';
import { BlockList, isIP } from 'node:net';
import type { Caller } from '../storage/domain/caller.ts';
import { isLoopback, peerOf } from './peers.ts';

/** In place of an address: whatever connects to a Unix socket. */
const UNIX = 'unix';

export interface Proxies {
  /** `address`: unset for a Unix socket. */
  has(address: string | undefined): boolean;
}

/** Takes addresses, networks such as `10.0.0.0/8`, and `unix`. */
export function trustProxies(named: readonly string[]): Proxies {
  const list = new BlockList();
  for (const [network, prefix] of named.filter((name) => name !== UNIX).map((name) => name.split('/'))) {
    const family = familyOf(network!);
    list.addSubnet(network!, Number(prefix ?? (family === 'ipv4' ? 32 : 128)), family);
  }
  return {
    has: (address) => (address === undefined ? named.includes(UNIX) : list.check(address, familyOf(address))),
  };
}

/** Returns whoever a trusted proxy has this request from. */
export function forwarded(caller: Caller, headers: IncomingHttpHeaders, proxies: Proxies): Caller {
  const { 'x-forwarded-for': chain, 'x-forwarded-proto': protocols } = headers;
  const protocol = lastFirst(protocols)[0]?.toLowerCase();
  const isSecure = protocol === undefined ? caller.isSecure : protocol === 'https';
  const client = clientOf(lastFirst(chain), proxies);
  if (client === undefined) return { ...caller, isSecure };
  return { ...caller, peer: peerOf(client), isLocal: caller.isLocal === true && isLoopback(client), isSecure };
}

/** Each proxy appends whom it has it from; what stands before the first that is not trusted, anybody may have written. */
function clientOf(chain: readonly string[], proxies: Proxies): string | undefined {
  let client: string | undefined;
  for (const each of chain) {
    const address = addressOf(each);
    if (address === undefined) break;
    client = address;
    if (!proxies.has(address)) break;
  }
  return client;
}

function lastFirst(values: string | string[] | undefined): string[] {
  const all = [values ?? ''].flat().join(',').split(',');
  return all
    .map((each) => each.trim())
    .filter((each) => each !== '')
    .reverse();
}

/** Some proxies add the port. */
function addressOf(text: string): string | undefined {
  const [, v6, v4] = /^(?:\[([\da-f:.]+)\](?::\d+)?|([\d.]+):\d+)$/i.exec(text) ?? [];
  const address = v6 ?? v4 ?? text;
  return isIP(address) === 0 ? undefined : address;
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}
