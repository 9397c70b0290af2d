/** `POST /sign`: makes a link to an image, for what sends no header and has no cookie, such as another page. */
import type { Links } from '../auth/links.ts';
import type { CallMemory } from '../rpc/memory.ts';
import { getHeld } from '../rpc/routes.ts';
import { invalidField } from '../storage/domain/errors.ts';
import { previewWidthOf } from '../storage/domain/preview.ts';
import type { Storage } from '../storage/types.ts';
import { sendJson } from './errors.ts';
import { checkNames, jsonBodyOf } from './json-body.ts';
import type { Exchange, PlainRoute } from './plain-routes.ts';

const FIELDS = ['filename', 'provider', 'width', 'download', 'seconds'];
const DEFAULT_SECONDS = 3600;
const MAX_SECONDS = 7 * 24 * 3600;
const MAX_WIDTH = 100_000;

export interface SignOptions {
  storage: Storage;
  memory: CallMemory;
  defaultProvider: string;
  /** In front of the path; empty: the path alone. */
  publicUrl: string;
  links: Pick<Links, 'sign'>;
  /** How long the request may take to come. */
  requestMs: number;
}

export function signRoute(options: SignOptions): PlainRoute {
  const answer = (exchange: Exchange) => sign(exchange, options);
  return { methods: ['POST'], path: /^\/sign$/, scope: 'read', name: '/sign', answer };
}

async function sign(exchange: Exchange, options: SignOptions): Promise<void> {
  const { request, response, grant, caller, signal } = exchange;
  const { storage, memory, defaultProvider, publicUrl, links, requestMs } = options;
  const { filename, provider, seconds, ...view } = wishOf(await jsonBodyOf(request, requestMs));
  const get = () => storage.get(filename, { provider });
  const { item } = await getHeld(get, { budget: memory.kept, caller, signal });
  const target = { path: `/${item.key}`, query: queryOf(view, item.provider === defaultProvider ? '' : item.provider) };
  const { query, endsAt } = await links.sign(target, grant.by ?? '', seconds);
  const link = { url: `${publicUrl}${target.path}?${query}`, expires: new Date(endsAt).toISOString() };
  sendJson(response, 200, JSON.stringify(link));
}

/** How the image is shown. */
interface View {
  width: number | undefined;
  download: boolean;
}

interface Wish extends View {
  filename: string;
  provider: string;
  seconds: number;
}

function wishOf(body: Readonly<Record<string, unknown>>): Wish {
  checkNames(body, FIELDS);
  const { filename, provider = '', width, download = false, seconds = DEFAULT_SECONDS } = body;
  if (typeof filename !== 'string' || filename === '') throw invalidField('filename', 'must be that of an image');
  if (typeof provider !== 'string') throw invalidField('provider', 'must be text');
  if (width !== undefined && !isWithin(width, MAX_WIDTH)) throw invalidField('width', 'must be a number of pixels');
  if (typeof download !== 'boolean') throw invalidField('download', 'must be true or false');
  if (!isWithin(seconds, MAX_SECONDS)) throw invalidField('seconds', `must be whole, 1 to ${MAX_SECONDS}`);
  return { filename, provider, width, download, seconds };
}

function isWithin(value: unknown, max: number): value is number {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= max;
}

/** The same for the same wish, so that caches know it again. */
function queryOf({ width, download }: View, provider: string): string {
  const fields = new URLSearchParams();
  if (provider !== '') fields.set('provider', provider);
  if (width !== undefined) fields.set('width', `${previewWidthOf(width)}`);
  if (download) fields.set('download', '1');
  return fields.toString();
}
