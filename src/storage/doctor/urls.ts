/**
 * Checks that a bucket is reachable over HTTP by this machine, by callers with the URLs they get, and by no one else.
 */

import { HELP } from '../bucket/help.ts';
import { type Check, type CheckResult, note, Shortcoming, skipped, step } from './check.ts';
import { type Answer, request, withoutSecrets } from './request.ts';
import type { Scratch } from './scratch.ts';

const OK = 200;
const NOTEWORTHY_SKEW_SECONDS = 5;
/** Shifts the expiry of presigned URLs; AWS rejects signatures from 15 minutes on, others earlier. */
const MAX_SKEW_SECONDS = 300;

/** One pixel. */
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==',
  'base64',
);

/** The URLs of objects by key. Both functions reject with an ObjectStoreError when there are no credentials. */
export interface BucketUrls {
  /** Returns the URL that callers get. */
  urlOf: (key: string) => Promise<string>;
  /** The setting that makes these URLs fixed; unset when they expire. */
  publicBy?: string;
  /** The setting that says where the service is. */
  servedBy: string;
  /** Returns a presigned URL at the endpoint that this machine uses. */
  signedUrlOf: (key: string) => Promise<string>;
}

/** Checks endpoint and clock, and returns the error that made the endpoint fail. */
export async function* examineEndpoint({
  signedUrlOf,
  servedBy,
}: BucketUrls): AsyncGenerator<Check, Error | undefined> {
  let clock: CheckResult = skipped('the service does not tell its time');
  const unreachable = yield* step('endpoint', async () => {
    const { origin } = new URL(await signedUrlOf('any'));
    const askedAt = Date.now();
    const { headers } = await request(origin, servedBy, { method: 'HEAD', redirect: 'manual' });
    const ours = (askedAt + Date.now()) / 2;
    const theirs = Date.parse(headers.get('date') ?? '');
    if (!Number.isNaN(theirs)) clock = clockFinding(Math.round((ours - theirs - 500) / 1000));
    return `${origin} answers`;
  });
  if (unreachable === undefined) yield* step('clock', async () => clock);
  return unreachable;
}

/** A Date header has whole seconds: `aheadSeconds` is exact to one second. */
function clockFinding(aheadSeconds: number): CheckResult {
  const skew = Math.abs(aheadSeconds);
  if (skew <= NOTEWORTHY_SKEW_SECONDS) return "the clock agrees with the service's";
  const message = `the clock of this machine is ${skew} s ${aheadSeconds > 0 ? 'ahead of' : 'behind'} the service's: set it (NTP)`;
  return skew > MAX_SKEW_SECONDS
    ? { verdict: 'failed', message: `${message}, or signatures are refused (${HELP.clock})` }
    : note(message);
}

/** Requires that the scratch object exists. */
export async function* examineUrls(urls: BucketUrls, scratch: Scratch): AsyncGenerator<Check> {
  yield* step('presign', () => examineSigned(urls, scratch));
  yield* step('cdn', async () =>
    urls.publicBy === undefined
      ? skipped('callers get URLs that expire: no cdnUrl is configured, or urls.mode is presigned')
      : examinePublic(urls.urlOf, urls.publicBy, scratch),
  );
  yield* step('privacy', () => examinePrivacy(urls, scratch));
}

async function examineSigned(urls: BucketUrls, { key, text }: Scratch): Promise<CheckResult> {
  const isGiven = urls.publicBy === undefined;
  const url = await (isGiven ? urls.urlOf(key) : urls.signedUrlOf(key));
  const setting = isGiven ? `urls.endpoint, ${urls.servedBy}` : urls.servedBy;
  const answer = await request(url, setting);
  if (gives(answer, text)) return 'a URL that expires gives the object';
  throw new Shortcoming(`${withoutSecrets(url)}, signed, answers ${answer.status} instead of the object (${setting})`);
}

async function examinePublic(urlOf: BucketUrls['urlOf'], setting: string, scratch: Scratch): Promise<CheckResult> {
  const url = await urlOf(await scratch.putImage(PNG));
  const { status, headers, bytes } = await request(url, setting);
  const type = headers.get('content-type') ?? 'no content type';
  const told = `${withoutSecrets(url)} answers ${status}`;
  if (status !== OK) throw new Shortcoming(`${told}: ${whatToOpen(status, setting)}`);
  if (!type.startsWith('image/')) {
    throw new Shortcoming(`${told} with ${type}, not the image: correct ${setting}, it must lead to the bucket`);
  }
  if (!bytes.equals(PNG)) return note(`${told} with ${type}, and changes images: callers do not get what was saved`);
  return type === 'image/png' ? `${told} with the image` : note(`${told} with the image as ${type}, not image/png`);
}

function whatToOpen(status: number, setting: string): string {
  if (status === 401 || status === 403) return `let it read outputs/images/ in the bucket, or correct ${setting}`;
  if (status === 404) return `correct ${setting}: it must lead to the bucket itself; the prefix is added to it`;
  return `look at what is behind ${setting}`;
}

/**
 * Requests an object beside the records without a signature, from the bucket itself and from the public address of
 * images.
 */
async function examinePrivacy(urls: BucketUrls, { key, text }: Scratch): Promise<CheckResult> {
  const places = [withoutSecrets(await urls.signedUrlOf(key))];
  if (urls.publicBy !== undefined) places.push(await urls.urlOf(key));
  for (const url of places) {
    // An address that does not answer makes nothing public.
    const answer = await request(url, urls.servedBy).catch(() => undefined);
    if (answer === undefined || !gives(answer, text)) continue;
    const root = url.slice(0, url.indexOf(key));
    return note(`${root}outputs/metadata/, where prompts lie, is public: make only outputs/images/ public`);
  }
  return 'outputs/metadata/, where prompts lie, is not public';
}

function gives({ status, bytes }: Answer, text: string): boolean {
  return status === OK && bytes.toString() === text;
}
