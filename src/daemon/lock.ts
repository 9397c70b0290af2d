/** The lock of the daemon: tokens and certificates as they are configured, read again when their files change. */

import { isLocalAddress, parseAddress } from '../address.ts';
import { type Access, openAccess } from '../auth/access.ts';
import type { Reloaded } from '../auth/reloaded.ts';
import { openTls, type TlsIdentity } from '../auth/tls.ts';
import { openUrlKeys, type UrlKeys } from '../auth/url-keys.ts';
import type { Config } from '../config.ts';
import { StoreOpenError } from '../storage/domain/errors.ts';
import type { Logger } from '../storage/domain/logger.ts';
import { providerTypeOf } from '../storage/factory.ts';

export interface Lock {
  access: Access;
  /** What signs links and sessions. */
  keys: UrlKeys;
  /** Unset without TLS. */
  tls: Reloaded<TlsIdentity> | undefined;
  close(): void;
}

export interface LockOptions {
  log: Logger;
  /** Called with each later certificate. */
  renew(identity: TlsIdentity): void;
  /** Returns the id of the default provider's store. Throws while that is not open. */
  storeId(): string;
}

/** Rejects with a StoreOpenError where one of the files cannot be used. */
export async function openLock(config: Config, { log, renew, storeId }: LockOptions): Promise<Lock> {
  const { auth, tls: files } = config;
  const keys = openUrlKeys(auth.urlKeys, keysFileOf(config));
  const { clientScopes, clientCa } = files;
  const hasClientCa = clientCa !== '';
  const access = await asConfigured(
    'auth.tokensFile',
    openAccess(
      { tokens: auth.tokens ?? '', tokensFile: auth.tokensFile, hasClientCa, clientScopes, keys, storeId },
      {
        onLoad: (tokens) => log.info({ tokens }, 'auth.tokensFile was read again'),
        onBad: (err) => log.error({ problem: err.message }, 'auth.tokensFile cannot be used: the tokens before stay'),
      },
    ),
  );
  try {
    const tls = files.cert === '' ? undefined : await asConfigured('tls', openTls(files, tlsEvents(log, renew)));
    warnOfWhatIsOpen(config, log, access);
    const close = () => {
      access.close();
      tls?.close();
    };
    return { access, keys, tls, close };
  } catch (error) {
    access.close();
    throw error;
  }
}

function tlsEvents(log: Logger, renew: (identity: TlsIdentity) => void) {
  return {
    onLoad(identity: TlsIdentity) {
      renew(identity);
      log.info({}, 'the certificate was read again');
    },
    onBad: (err: Error) => log.error({ problem: err.message }, 'tls cannot be used: the certificate before stays'),
  };
}

async function asConfigured<T>(setting: string, opening: Promise<T>): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    throw new StoreOpenError('config', `${setting}: ${(error as Error).message}`, { cause: error });
  }
}

function warnOfWhatIsOpen({ listen, tls }: Config, log: Logger, { isLocked }: Access): void {
  const addresses = listen.filter((address) => !isLocalAddress(parseAddress(address)!));
  if (addresses.length === 0) return;
  if (!isLocked) log.warn({ addresses }, 'insecure: whoever reaches these addresses may save, read and delete');
  else if (tls.cert === '') log.warn({ addresses }, 'tokens and images reach these addresses without encryption');
}

/** Returns what warns, once, of a proxy that hands on the requests of whoever reaches it; not where that is allowed. */
export function openProxyWarning({ insecure }: Pick<Config, 'insecure'>, log: Logger): () => void {
  let isSaid = insecure;
  return () => {
    if (!isSaid)
      log.warn({}, 'behind a proxy, and nobody is asked for a token: whoever reaches it may save, read and delete');
    isSaid = true;
  };
}

/** Where the keys are that no setting has: in the state folder of the default provider. */
function keysFileOf({ providers, defaultProvider: name }: Config): string {
  const provider = providers[name]!;
  return providerTypeOf(provider)!.stateFile(provider, name, 'url-keys');
}

/** Reads the keys that an earlier start has made. Throws a StoreOpenError where they cannot be used. */
export function checkKeys({ keys }: Lock, config: Config): void {
  try {
    keys.check();
  } catch (error) {
    const file = keysFileOf(config);
    const advice = 'without it another one is made, and links and sessions end';
    throw new StoreOpenError('config', `${file}: ${(error as Error).message}; ${advice}`, { cause: error });
  }
}
