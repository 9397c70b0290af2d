/** Links to the page that the gallery has of an image, for commands and assistants. */
import { parseAddress, parseTarget } from '../address.ts';
import type { Image } from './types.ts';

/** Returns undefined where the daemon is reached by no URL that is known here. `provider`: unless it is the default one. */
export function pageLink(image: Image, address: string, provider?: string): string | undefined {
  const root = rootOf(image, address);
  if (root === undefined) return undefined;
  const of = provider === undefined || provider === '' ? '' : `?provider=${encodeURIComponent(image.provider)}`;
  return `${root}i/${encodeURIComponent(image.filename)}${of}`;
}

function rootOf({ url, key, storageType }: Image, address: string): string | undefined {
  // `publicUrl` stands before the key, and a signature may follow it.
  const [plain = ''] = url.split('?', 1);
  const isPublic = storageType === 'local' && /^https?:/.test(plain) && plain.endsWith(`/${key}`);
  if (isPublic) return plain.slice(0, -key.length);
  const target = parseTarget(address);
  if (target === undefined || 'path' in parseAddress(target.address)!) return undefined;
  return `${target.isTls ? 'https' : 'http'}://${target.address}/`;
}
