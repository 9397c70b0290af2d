/** The lock of the daemon: tokens and certificates as they are configured, read again when their files change. */

import { isLocalAddress, parseAddress } from '../address.ts';
import { type Access, openAccess } from '../auth/access.ts';
import type { Reloaded } from '../auth/reloaded.ts';
import { openTls, type TlsIdentity } from '../auth/tls.ts';
import type { Config } from '../config.ts';
import { StoreOpenError } from '../storage/domain/errors.ts';
import type { Logger } from '../storage/domain/logger.ts';

export interface Lock {
  access: Access;
  /** Unset without TLS. */
  tls: Reloaded<TlsIdentity> | undefined;
  close(): void;
}

/** `renew` is called with each later certificate. Rejects with a StoreOpenError where one of the files cannot be used. */
export async function openLock(config: Config, log: Logger, renew: (identity: TlsIdentity) => void): Promise<Lock> {
  const { auth, tls: files } = config;
  const { clientScopes, clientCa } = files;
  const hasClientCa = clientCa !== '';
  const access = await asConfigured(
    'auth.tokensFile',
    openAccess(
      { tokens: auth.tokens ?? '', tokensFile: auth.tokensFile, hasClientCa, clientScopes },
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
    return { access, tls, close };
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
