/** Reads what S3 answers to ListObjectsV2, as far as it has the usual form. */
import { unescaped } from './direct-request.ts';

export interface Listing {
  objects: ListedEntry[];
  more: boolean;
}

/** As it was sent, but for escapes of XML. */
interface ListedEntry {
  key: string;
  etag: string | undefined;
  size: number;
  /** ms since 1970. */
  lastModified: number;
}

const HEAD = /^\s*(<\?xml[^>]*\?>\s*)?<ListBucketResult[\s>]/;
const END = '</ListBucketResult>';
const [ENTRY, ENTRY_END] = ['<Contents>', '</Contents>'];

/** Returns undefined for anything but a whole listing whose entries it all understands. */
export function parseListing(xml: string): Listing | undefined {
  if (!HEAD.test(xml) || !xml.includes(END) || xml.includes('<EncodingType>url')) return undefined;
  const objects: ListedEntry[] = [];
  for (let at = xml.indexOf(ENTRY); at >= 0; ) {
    const end = xml.indexOf(ENTRY_END, at);
    const key = fieldIn(xml, 'Key', at, end);
    if (!key) return undefined;
    const lastModified = Date.parse(fieldIn(xml, 'LastModified', at, end) ?? '');
    const size = Number(fieldIn(xml, 'Size', at, end) ?? 0);
    objects.push({ key, etag: fieldIn(xml, 'ETag', at, end), size, lastModified: lastModified || 0 });
    at = xml.indexOf(ENTRY, end);
  }
  const [count, name, more] = ['KeyCount', 'Name', 'IsTruncated'].map((field) => fieldIn(xml, field, 0, xml.length));
  // Without either it is no listing; with another count, entries have another form than these.
  const isWhole = count === undefined ? name !== undefined : Number(count) === objects.length;
  return isWhole ? { objects, more: more === 'true' } : undefined;
}

/** Returns the text of the first element of this name between two positions. */
function fieldIn(xml: string, name: string, from: number, to: number): string | undefined {
  const at = xml.indexOf(`<${name}>`, from);
  if (at < 0 || at >= to) return undefined;
  const start = at + name.length + 2;
  return unescaped(xml.slice(start, xml.indexOf('<', start)));
}
