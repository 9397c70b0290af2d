/** Links: signed URLs that open one image to whoever has them, until they end or who asked for them is gone. */
import { type Refusal, refused } from './refusal.ts';
import type { Scope } from './scope.ts';
import { isSigned, linkIn, type SignedTarget, signQuery } from './signed-url.ts';
import type { TokenEntry } from './tokens.ts';
import type { UrlKeys } from './url-keys.ts';

/** Rounded up to it: links to one image that are made within the hour are the same, and stay in caches. */
const ROUNDED_TO_SECONDS = 3600;
const NEEDS: Scope = 'read';
const OF_A_CERTIFICATE = 'certificate:';

/** A link that holds. */
export interface OpenLink {
  /** Who asked for it: the name of a token or certificate; unset where nobody was asked. */
  name: string | undefined;
  /** ms since 1970. */
  endsAt: number;
}

export interface SignedLink {
  query: string;
  /** ms since 1970. */
  endsAt: number;
}

export interface Links {
  /** `by` is that of the caller's verdict. The link may hold for up to an hour more than `seconds`. */
  sign(target: SignedTarget, by: string, seconds: number): Promise<SignedLink>;
  /** Returns the link that the URL is, why it is none any more, or undefined where it is not signed. */
  find(target: SignedTarget): OpenLink | Refusal | undefined;
}

/** Who asked, as a link names them. */
export const makerOf = {
  nobody: '',
  token: (name: string) => name,
  certificate: (name = '') => OF_A_CERTIFICATE + name,
};

export interface LinkOptions {
  keys: UrlKeys;
  /** Unset where no tokens are configured. */
  tokens(): readonly TokenEntry[] | undefined;
  hasClientCa: boolean;
  /** What whoever has a certificate may do. */
  clientScopes: readonly Scope[];
  now?: () => number;
}

export function createLinks({ keys, now = Date.now, ...lock }: LinkOptions): Links {
  return {
    async sign(target, by, seconds) {
      const key = await keys.signing();
      const expires = Math.ceil((now() / 1000 + seconds) / ROUNDED_TO_SECONDS) * ROUNDED_TO_SECONDS;
      const secret = standingOf(by, lock)?.secret ?? '';
      return { query: signQuery(key, target, { by, expires }, secret), endsAt: expires * 1000 };
    },
    find(target) {
      const link = linkIn(target);
      if (link === undefined) return undefined;
      const standing = standingOf(link.by, lock);
      if (
        standing === undefined ||
        !isSigned(keys.known(), link.keyId, [...link.covered, standing.secret], link.signature)
      )
        return refused('TOKEN_UNKNOWN', 'this daemon did not sign the URL, or does not know any more who asked for it');
      const endsAt = Math.min(link.expires * 1000, standing.expiresAt ?? Number.POSITIVE_INFINITY);
      if (now() >= endsAt) return refused('TOKEN_EXPIRED', 'the link is over');
      return { name: link.by.replace(OF_A_CERTIFICATE, '') || undefined, endsAt };
    },
  };
}

/** What whoever asked for a link is now. */
interface Standing {
  /** Another token of the same name has another one. */
  secret: string;
  expiresAt?: number;
}

/** Returns undefined where they could not open the image themselves. */
function standingOf(
  by: string,
  { tokens, hasClientCa, clientScopes }: Omit<LinkOptions, 'keys'>,
): Standing | undefined {
  const entries = tokens();
  if (by === makerOf.nobody) return entries === undefined && !hasClientCa ? { secret: '' } : undefined;
  if (by === makerOf.certificate()) return entries === undefined && hasClientCa ? { secret: '' } : undefined;
  if (by.startsWith(OF_A_CERTIFICATE)) return hasClientCa && clientScopes.includes(NEEDS) ? { secret: '' } : undefined;
  const entry = entries?.find(({ name }) => name === by);
  if (entry === undefined || !entry.scopes.includes(NEEDS)) return undefined;
  return { secret: entry.sha256.toString('hex'), expiresAt: entry.expiresAt };
}
