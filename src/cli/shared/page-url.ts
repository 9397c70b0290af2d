/** Where people open a daemon in a browser. */
import { hostname } from 'node:os';
import { type Address, formatAddress, isLocalAddress, parseAddress } from '../../address.ts';
import type { Config } from '../../config.ts';

const ANY = ['0.0.0.0', '::'];

/** Returns the URL that other machines reach where there is one, without a slash at its end; undefined where none is known. */
export function pageUrlOf({
  publicUrl,
  listen,
  tls,
}: Pick<Config, 'publicUrl' | 'listen' | 'tls'>): string | undefined {
  if (publicUrl !== '') return publicUrl;
  const addresses = listen.map((address) => parseAddress(address)!).filter(isOpenTo);
  const address = addresses.find((each) => !isLocalAddress(each)) ?? addresses[0];
  if (address === undefined) return undefined;
  const scheme = tls.cert !== '' && !isLocalAddress(address) ? 'https' : 'http';
  const host = ANY.includes(address.host) ? hostname() : address.host;
  return `${scheme}://${formatAddress({ ...address, host })}`;
}

/** Port 0 is another one at each start. */
function isOpenTo(address: Address): address is Address & { host: string; port: number } {
  return 'host' in address && address.port !== 0;
}
