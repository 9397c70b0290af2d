/** Where a client connects, whom it trusts there, and the token that it shows. */
import { readFileSync } from 'node:fs';
import type { SecureContextOptions } from 'node:tls';
import { status } from '@grpc/grpc-js';
import { isLocalAddress, parseAddress, parseTarget, TARGET_FORMS } from '../address.ts';
import { ImageStorageError } from './errors.ts';
import type { ConnectOptions } from './types.ts';

export interface Endpoint {
  /** `host:port`, `[v6]:port` or `unix:PATH` */
  address: string;
  token: string | undefined;
  /** Unset without TLS. */
  tls: SecureContextOptions | undefined;
}

/** Where the daemon answers by HTTP, which is the port of gRPC; undefined for a Unix socket. */
export function baseUrlOf({ address, tls }: Endpoint): string | undefined {
  if (address.startsWith('unix:')) return undefined;
  return `${tls === undefined ? 'http' : 'https'}://${address}`;
}

type Options = Pick<ConnectOptions, 'token' | 'allowPlaintextToken' | 'tls' | 'caFile'>;
type Environment = Readonly<Record<string, string | undefined>>;

/** Throws as `connect` does. */
export function endpointOf(text: string, options: Options, env: Environment): Endpoint {
  const target = parseTarget(text);
  if (target === undefined) throw new TypeError(`"${text}" is no address: ${TARGET_FORMS}`);
  const { address } = target;
  const tls = tlsOf(target.isTls, options, env);
  const token = tokenOf(options, env);
  if (
    token !== undefined &&
    tls === undefined &&
    !options.allowPlaintextToken &&
    !isLocalAddress(parseAddress(address)!)
  ) {
    const message = `the token would reach ${address} without encryption: use https://${address}, or allow it by allowPlaintextToken (--allow-plaintext-token)`;
    throw new ImageStorageError(status.FAILED_PRECONDITION, message, { reason: 'TOKEN_IN_PLAINTEXT' });
  }
  return { address, token, tls };
}

function tlsOf(isTls: boolean, { tls, caFile }: Options, env: Environment): SecureContextOptions | undefined {
  if (!isTls && !tls && caFile === undefined) return undefined;
  const roots = caFile || env.IMAGE_STORAGE_CA_FILE;
  return { ...(roots && { ca: readFileSync(roots) }), ...(typeof tls === 'object' && tls) };
}

function tokenOf({ token }: Options, env: Environment): string | undefined {
  const file = env.IMAGE_STORAGE_TOKEN_FILE;
  const given = token ?? (env.IMAGE_STORAGE_TOKEN || (file ? readFileSync(file, 'utf8').trim() : ''));
  // The library of gRPC would quote it.
  if (!/^[\x21-\x7e]*$/.test(given)) throw new TypeError('the token has characters that no header may have');
  return given === '' ? undefined : given;
}
