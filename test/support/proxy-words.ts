/** What clients must say of an HTTP status in place of an answer: the table of docs/clients.md. */
import { readFile } from 'node:fs/promises';

export interface ProxyWords {
  status: number;
  /** The name of the gRPC status. */
  code: string;
  message: string;
}

export async function proxyWords(): Promise<ProxyWords[]> {
  const page = await readFile(new URL('../../docs/clients.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| (\d{3}) +\| ([A-Z_]+) +\| (.+?) +\|$/gm)];
  return rows.map(([, status, code, meaning]) => ({
    status: Number(status),
    code: code!,
    message: `HTTP ${status} instead of a gRPC answer, likely from a proxy: ${meaning}`,
  }));
}
