/** The certificate of the daemon and the CA of its clients, from files that are read again when they change. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { openReloaded, type Reloaded } from './reloaded.ts';

/** Paths; empty: not set. */
export interface TlsFiles {
  cert: string;
  key: string;
  clientCa: string;
}

/** What the files have, in PEM. */
export interface TlsIdentity {
  cert: string;
  key: string;
  /** Whose certificates of clients count. */
  ca: string | undefined;
}

export interface TlsEvents {
  onLoad(identity: TlsIdentity): void;
  onBad(error: Error): void;
}

/** Rejects where the files cannot be read, or do not belong together. */
export async function openTls(files: TlsFiles, events: TlsEvents): Promise<Reloaded<TlsIdentity>> {
  const paths = [files.cert, files.key, files.clientCa].filter((path) => path !== '');
  return openReloaded({ paths, load: () => readTls(files), ...events });
}

/** Throws an error that quotes nothing of the files. */
export async function readTls({ cert, key, clientCa }: TlsFiles): Promise<TlsIdentity> {
  const read = (path: string) => readFile(path, 'utf8');
  const identity = {
    cert: await read(cert),
    key: await read(key),
    ca: clientCa === '' ? undefined : await read(clientCa),
  };
  checked(() => new X509Certificate(identity.cert), `${cert} has no certificate in PEM`);
  if (identity.ca !== undefined)
    checked(() => new X509Certificate(identity.ca!), `${clientCa} has no certificate in PEM`);
  checked(() => createSecureContext(identity), `${key} is not the key of the certificate in ${cert}`);
  return identity;
}

function checked(check: () => unknown, problem: string): void {
  try {
    check();
  } catch (cause) {
    throw new Error(`${problem} (${(cause as NodeJS.ErrnoException).code ?? 'unreadable'})`);
  }
}
