/** Requests a URL as callers would, and says in words why no answer came. */
import { Shortcoming } from './check.ts';

const TIMEOUT_MS = 10_000;

/** By the protocol and Node's code of the failure; other failures are reported by their code. */
const REASONS: [RegExp, string][] = [
  [/:(ENOTFOUND|EAI_AGAIN)$/, 'the name does not resolve'],
  [/:ECONNREFUSED$/, 'nothing listens there'],
  [/:(EHOSTUNREACH|ENETUNREACH)$/, 'there is no route to it'],
  [/:(ERR_SSL_|EPROTO)/, 'it does not speak TLS: is it http:// instead of https://?'],
  [/^http:(UND_ERR_SOCKET|ECONNRESET|HPE_)/, 'it hangs up: is it https:// instead of http://?'],
  [/CERT|SELF_SIGNED|UNABLE_TO_/, 'its certificate is not trusted: have NODE_EXTRA_CA_CERTS name a file with its CA'],
];

export interface Answer {
  status: number;
  headers: Headers;
  bytes: Buffer;
}

/** Requests a URL, which comes from `setting`. Throws a Shortcoming when no complete answer comes. */
export async function request(url: string, setting: string, init: RequestInit = {}): Promise<Answer> {
  try {
    const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
    const { status, headers } = answer;
    return { status, headers, bytes: Buffer.from(await answer.arrayBuffer()) };
  } catch (error) {
    throw new Shortcoming(`${withoutSecrets(url)}: ${reasonOf(error, url)} (${setting})`, { cause: error });
  }
}

/** Returns the URL without its query: a signature grants as much as the secret that made it. */
export function withoutSecrets(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

function reasonOf(error: unknown, url: string): string {
  const { name, cause } = error as Error;
  if (name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1000} s`;
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? '';
  const [, reason] = REASONS.find(([pattern]) => pattern.test(new URL(url).protocol + code)) ?? [];
  return reason ?? `it cannot be reached${code && ` (${code})`}`;
}
