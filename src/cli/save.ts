/** `image-storage save`: streams files, or stdin, to the daemon. */
import type { Command } from 'commander';
import type { Age, Image, ImageMetadata, SavedImage } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { readEmbeddedMetadata } from '../storage/embedded/metadata.ts';
import type { ReadAt } from '../storage/embedded/read-at.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './shared/connection.ts';
import { parseInstant, parseTtl } from './shared/dates.ts';
import { isUnreachable, outcomeHint } from './shared/errors.ts';
import { collect, collectParameter, type Parameters, parametersText } from './shared/flags.ts';
import { imageJson } from './shared/image-json.ts';
import { openInput, readableOnce, STDIN, sha256Of, totalBytes } from './shared/input.ts';
import { createProgress, type Progress } from './terminal/progress.ts';
import { displayText, formatBytes, formatTime, printError, printJson, printLine } from './terminal/text.ts';

interface SaveFlags extends AddressFlags {
  prompt?: string;
  model?: string;
  category?: string;
  tag?: string[];
  param?: Parameters;
  paramsJson?: string;
  timestamp?: Date;
  provider?: string;
  pinned?: boolean;
  ttl?: Age;
  idempotencyKey?: string;
  skipExisting?: boolean;
  json?: boolean;
}

/** What became of one file; `equal` is an image of the same bytes that was there before. */
interface Saved {
  image: SavedImage;
  equal?: Image;
}

type Outcome = { saved: Saved } | { skipped: Image } | { error: unknown } | 'not sent';

const PARALLEL = 4;
/** What a daemon fills in from the file. */
const FILLED = ['prompt', 'model', 'parametersJson'] as const;
const KEPT_FOR_EVER = 'it is kept until it is deleted: this daemon is older and knows no --ttl';
const DELETED_SINCE = 'it was saved before, and deleted since; another --idempotency-key saves it again';
const LEFT_UNREAD =
  'what its generator left in it stays in the file only: this daemon is older and does not read it; ' +
  '`import` reads it itself';

export function registerSave(program: Command): void {
  const command = program
    .command('save')
    .description('save images; what is not given is read from what generators such as ComfyUI and A1111 leave in it')
    .argument('<files...>', 'image files; - reads stdin')
    .option('--prompt <text>')
    .option('--model <name>')
    .option('--category <name>')
    .option('--tag <name>', 'repeatable', collect)
    .option(
      '--param <key=value>',
      'a generation parameter; numbers, true, false and null as in JSON; repeatable',
      collectParameter,
    )
    .option('--params-json <object>', 'all parameters as one JSON object, kept byte for byte')
    .option('--timestamp <time>', 'when it was generated (default: now)', (text: string) => parseInstant(text))
    .option('--provider <name>')
    .option('--pinned', 'spare it in every cleanup')
    .option(
      '--ttl <age>',
      'let it go after so long (12h, 7d), a day after the save at the earliest, unless it is pinned',
      parseTtl,
    )
    .option('--idempotency-key <key>', 'a repeated save with it returns the first result')
    .option('--skip-existing', 'leave files whose bytes are there already')
    .option('--json', 'print one JSON object a line')
    .action(async (files: string[], flags: SaveFlags) => {
      await checkUsage(command, files, flags);
      return withClient(flags, (session) => saveAll(session, files, flags), {});
    });
  withAddress(command);
}

async function checkUsage(command: Command, files: string[], flags: SaveFlags): Promise<void> {
  const refuse = (message: string) => command.error(`error: ${message}`, { exitCode: EXIT.USAGE });
  if (files.filter((file) => file === STDIN).length > 1) refuse('stdin can be read once');
  if (flags.skipExisting && files.includes(STDIN)) refuse('--skip-existing: stdin is read once, and sent as it comes');
  const pipes = flags.skipExisting ? await readableOnce(files) : [];
  if (pipes.length > 0) refuse(`--skip-existing: ${pipes[0]} is no file: it is read once, and sent as it comes`);
  if (files.length > 1 && flags.idempotencyKey !== undefined) refuse('--idempotency-key is for one file');
  if (flags.param && flags.paramsJson !== undefined) refuse('--param and --params-json exclude each other');
}

/** Saves a few files at a time, and reports them in the order given; one that fails does not stop the others. */
async function saveAll(session: Session, files: string[], flags: SaveFlags): Promise<number> {
  const progress = createProgress(await totalBytes(files));
  const failures: number[] = [];
  let unsent = 0;
  let unreachable = false;
  /** By sha256, what the last file of these bytes is stored as, once that is known. */
  const ends = new Map<string, Promise<Image | undefined>>();
  const saveUnlessThere = async (file: string): Promise<Outcome> => {
    const sha256 = await sha256Of(file);
    const before = ends.get(sha256);
    const outcome = (async (): Promise<Outcome> => {
      const stored = (await before) ?? (await storedAs(session, sha256, flags));
      return stored ? { skipped: stored } : { saved: await saveOne(session, file, flags, progress) };
    })();
    ends.set(
      sha256,
      outcome.then(storedBy, () => undefined),
    );
    return outcome;
  };
  const saveNext = async (file: string): Promise<Outcome> => {
    if (unreachable || session.signal.aborted) return 'not sent';
    try {
      if (flags.skipExisting) return await saveUnlessThere(file);
      return { saved: await saveOne(session, file, flags, progress) };
    } catch (error) {
      unreachable ||= isUnreachable(error);
      return { error };
    }
  };
  for await (const [file, outcome] of inOrder(files, PARALLEL, saveNext)) {
    progress.clear();
    if (outcome === 'not sent') unsent += 1;
    else if ('saved' in outcome) {
      await printSaved(outcome.saved, flags);
      if (outcome.saved.image.deleted) failures.push(EXIT.NEGATIVE);
    } else if ('skipped' in outcome) {
      await printSkipped(file, outcome.skipped, flags);
    } else {
      failures.push(session.report(outcome.error, file));
      const hint = outcomeHint(outcome.error);
      if (hint !== undefined) printError(`${file}: ${hint}`);
    }
  }
  if (unsent > 0) printError(`not sent: ${unsent} of ${files.length} files`);
  return failures[0] ?? EXIT.OK;
}

function storedBy(outcome: Outcome): Image | undefined {
  if (outcome === 'not sent' || 'error' in outcome) return undefined;
  if ('skipped' in outcome) return outcome.skipped;
  return outcome.saved.image.deleted ? undefined : outcome.saved.image;
}

async function saveOne(session: Session, file: string, flags: SaveFlags, progress: Progress): Promise<Saved> {
  const { client, signal } = session;
  const { source, readAt } = await openInput(file, signal);
  const { provider, idempotencyKey, pinned, ttl } = flags;
  const onProgress = (sentBytes: number) => progress.set(file, sentBytes);
  const options = { provider, idempotencyKey, pinned, ttlMs: ttl?.ageMs, signal, onProgress };
  const metadata = metadataOf(flags);
  const saved = await client.save(source, metadata, options);
  if (await wasLeftUnread(saved, metadata, readAt)) printError(`${file}: ${LEFT_UNREAD}`);
  if (ttl !== undefined && !saved.replayed && saved.expireTime === undefined) printError(`${file}: ${KEPT_FOR_EVER}`);
  // A replay is its own equal; what is stored is stored, also where it cannot be asked.
  return {
    image: saved,
    equal: saved.replayed
      ? undefined
      : await storedAs(session, saved.sha256, flags, saved.filename).catch(() => undefined),
  };
}

/** Returns an image of these bytes, besides one; an older daemon finds none. */
async function storedAs(
  { client, signal }: Session,
  sha256: string,
  { provider }: SaveFlags,
  besides = '',
): Promise<Image | undefined> {
  const query = `sha256:${sha256}`;
  for await (const image of client.list({ provider, query, order: 'oldest', view: 'row', limit: 2, signal })) {
    if (image.filename !== besides && image.sha256 === sha256) return image;
  }
  return undefined;
}

function metadataOf(flags: SaveFlags): ImageMetadata {
  return {
    prompt: flags.prompt,
    model: flags.model,
    parametersJson: flags.paramsJson ?? (flags.param && parametersText(flags.param)),
    timestamp: flags.timestamp,
    category: flags.category,
    tags: flags.tag,
  };
}

/** Returns whether the file tells what its record does not: an older daemon reads none of it. */
async function wasLeftUnread(saved: SavedImage, sent: ImageMetadata, readAt: ReadAt): Promise<boolean> {
  const lacking = FILLED.filter((field) => !saved.metadata[field]);
  if (saved.replayed || lacking.length === 0) return false;
  const found = await readEmbeddedMetadata(readAt);
  // Of several, a daemon that reads them may have left out one that is too long for it.
  const told = FILLED.filter((field) => !sent[field] && found[field] !== undefined);
  return told.length > 0 && told.every((field) => lacking.includes(field));
}

async function* inOrder<T, R>(
  items: readonly T[],
  parallel: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<[T, R]> {
  const running: Promise<[T, R]>[] = [];
  for (const item of items) {
    running.push(work(item).then((result) => [item, result]));
    if (running.length === parallel) yield await running.shift()!;
  }
  for (const last of running) yield await last;
}

async function printSkipped(file: string, image: Image, { json }: SaveFlags): Promise<void> {
  if (json) return printJson({ ...imageJson(image), skipped: true });
  await printLine(displayText(`skipped ${file}: it is there already, as ${image.filename}`));
}

async function printSaved({ image, equal }: Saved, { json }: SaveFlags): Promise<void> {
  const { filename: equalTo } = equal ?? {};
  if (json) return printJson({ ...imageJson(image), replayed: image.replayed, deleted: image.deleted, equalTo });
  const { filename, size, width, height, url, link = url, expireTime, replayed, deleted } = image;
  if (deleted) return printError(`${filename}: ${DELETED_SINCE}`);
  const line = `saved ${filename}  ${formatBytes(size)}  ${width}×${height}  ${displayText(link)}`;
  const until = expireTime === undefined ? '' : `  (goes after ${formatTime(expireTime)} UTC)`;
  await printLine(line + until + (replayed ? '  (it was saved before)' : ''));
  if (equalTo !== undefined) {
    printError(`${filename}: the same bytes were there, as ${equalTo}; --skip-existing leaves such files`);
  }
}
