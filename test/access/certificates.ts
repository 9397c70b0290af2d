/** Makes a CA, and certificates that it signs, by openssl. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Paths of PEM files. */
export interface Certificate {
  cert: string;
  key: string;
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];

/** The files get the name of the CA. */
export function createCa(folder: string, name: string): Certificate {
  const made = filesOf(folder, name);
  openssl('req', '-x509', ...KEY, '-subj', `/CN=${name}`, '-keyout', made.key, '-out', made.cert);
  return made;
}

/** A certificate for localhost and 127.0.0.1, also as that of a client. */
export function createCertificate(folder: string, name: string, ca: Certificate): Certificate {
  const made = filesOf(folder, name);
  const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1';
  const signed = ['-x509', '-CA', ca.cert, '-CAkey', ca.key, '-subj', `/CN=${name}`, '-addext', names];
  openssl('req', ...KEY, ...signed, '-keyout', made.key, '-out', made.cert);
  return made;
}

function filesOf(folder: string, name: string): Certificate {
  return { cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
