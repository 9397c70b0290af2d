/** `image-storage import`: saves the images of a folder that another tool, or a store of ImageStorage, has filled. */
import { createHash, randomUUID } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { relative } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { exists } from '../client/exists.ts';
import type { SavedImage } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { inParallel } from '../storage/async/parallel.ts';
import { follow, note, type Seen } from './import/follow.ts';
import { type Description, type ImageFile, openImageFile } from './import/image-file.ts';
import { KEPT, type Kept, removeSource, stateOf } from './import/remove-source.ts';
import { isTooLittle, measureRoom, roomLine } from './import/room.ts';
import { NamesAside } from './import/set-aside.ts';
import { listStoredImages, type StoredImage, type StoredImages } from './import/stored-images.ts';
import { ImportSums, sumsLines } from './import/sums.ts';
import { createSummary, SKIPPED, type SkipReason, type Summary, summaryLines } from './import/tally.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './shared/connection.ts';
import { isUnreachable } from './shared/errors.ts';
import { collect, parseConcurrency } from './shared/flags.ts';
import { RAW, textOf } from './shared/raw-path.ts';
import { type Found, type FoundFile, IMAGE_NAME, walk } from './shared/walk.ts';
import { createRunProgress } from './terminal/progress.ts';
import { displayText, formatTime, printError, printJson, printLine, shorten } from './terminal/text.ts';

interface ImportFlags extends AddressFlags {
  dryRun?: boolean;
  force?: boolean;
  move?: boolean;
  watch?: boolean;
  bringBack?: boolean;
  provider?: string;
  category?: string;
  tag?: string[];
  concurrency: number;
  strict?: boolean;
  verbose?: boolean;
  json?: boolean;
}

/** What became of the file that was read, with `--move`. */
interface Moved extends Partial<Kept> {
  removed?: boolean;
}

/** The result for one file; `filename` is unset in a dry run. */
type Outcome =
  | ({ outcome: 'imported'; sizeBytes: number; sha256: string; filename?: string } & Description & Moved)
  | ({ outcome: 'skipped'; reason: SkipReason; storedAs?: string } & Moved)
  | { outcome: 'failed'; error: unknown };

/** The parameters of one run, and the images that are stored already. */
interface Run {
  session: Session;
  folder: string;
  flags: ImportFlags;
  stored: StoredImages;
  names: NamesAside;
  /** Told apart from every other run by its keys; unset: as all runs of these bytes. */
  id?: string;
}

const FITS_MOVED = '--force begins all the same: on one disk each file that --move removes makes room for the next';
const DEFAULT_CONCURRENCY = 8;
const SHOWN_PROMPT_WIDTH = 60;
/** Between two looks for a daemon that is away. */
const AWAY_MS = 5_000;
/** gRPC's INVALID_ARGUMENT: concerns one image; others may be accepted. */
const INVALID_ARGUMENT = 3;
/** Those of an image that was meant to be imported, which `--strict` does not let pass. */
const NOT_WHOLE: ReadonlySet<SkipReason> = new Set(['IMAGE_TRUNCATED', 'IMAGE_TOO_LARGE', 'IMAGE_EMPTY', 'CHANGED']);
/** Each is reported on a line of its own, since the user may want to look at the file. */
const TOLD: ReadonlySet<SkipReason> = new Set(['IMAGE_TRUNCATED', 'IMAGE_TOO_LARGE', 'IMPORTED_BEFORE', 'CHANGED']);

export function registerImport(program: Command): void {
  const command = program
    .command('import')
    .description('copy the images of a folder into the store, with their dates and what generators left in them')
    .argument('<folder>', 'of ComfyUI, A1111, InvokeAI, a store of ours or any other; it is only read, without --move')
    .option('--dry-run', 'only sum up what would be imported, by model and month')
    .option('--force', 'begin also where the disk may be too small for all of them')
    .addOption(
      new Option(
        '--move',
        'remove each file once the store has given its bytes back, also those that it had before',
      ).conflicts('dryRun'),
    )
    .addOption(
      new Option('--watch', 'go on with what a program writes into the folder, until Ctrl-C').conflicts('dryRun'),
    )
    .option('--bring-back', 'save again what was deleted from the store')
    .option('--provider <name>')
    .option('--category <name>', 'for all of them')
    .option('--tag <name>', 'for all of them; repeatable', collect)
    .option('--concurrency <count>', 'files at once', parseConcurrency, DEFAULT_CONCURRENCY)
    .option('--strict', 'exit code 1 when an image is damaged, empty or too large')
    .option('--verbose', 'name each file, and what it is stored as')
    .option('--json', 'print one JSON object a line: each file, then the summary')
    .action((folder: string, flags: ImportFlags) => {
      if (flags.provider === '*') command.error('error: --provider: one store, not all', { exitCode: EXIT.USAGE });
      return withClient(flags, (session) => importFolder(session, folder, flags), {});
    });
  withAddress(command);
}

/** Continues after a file that fails; ends when the store itself fails, and can be run again. */
async function importFolder(session: Session, named: string, flags: ImportFlags): Promise<number> {
  const { client, signal } = session;
  const folder = await realpath(named, RAW);
  const { provider, dryRun, force, move, json, verbose } = flags;
  const stored = await listStoredImages(client, { provider, withNames: (verbose || json || move) ?? false, signal });
  const room = await measureRoom(client, folder, stored, { provider, signal });
  if (isTooLittle(room) && !dryRun && !force) {
    printError(`too little room: ${roomLine(room)}; ${move ? FITS_MOVED : '--force imports what fits'}`);
    return EXIT.IO;
  }
  if (!json) process.stderr.write(`${roomLine(room)}\n`);
  const progress = createRunProgress('file');
  const { totalItems, totalBytes, neededBytes, freeBytes } = room;
  const done = { items: 0, bytes: 0, totalItems, totalBytes };
  const names = new NamesAside();
  const run = { session, folder, flags, stored, names, id: flags.bringBack ? randomUUID() : undefined };
  const summary = { ...createSummary(dryRun), neededBytes, freeBytes };
  const sums = new ImportSums();
  const seen: Seen = new Map();
  let exitCode: number = EXIT.OK;
  const importOne = async (found: Found) => {
    if (names.has(found)) return;
    const outcome = await outcomeOf(run, found);
    count(summary, outcome);
    if (flags.dryRun && outcome.outcome === 'imported') sums.add(outcome.metadata, outcome.sizeBytes);
    if (isTold(outcome, flags)) progress.clear();
    const code = (await tell(run, found, outcome)) || strictCode(found, outcome, flags) || keptCode(outcome);
    exitCode ||= code;
    note(seen, found);
    done.items += 1;
    done.bytes += found.kind === 'file' ? found.sizeBytes : 0;
    progress.set(done);
  };
  try {
    await inParallel(flags.concurrency, walk(folder), importOne);
    if (flags.watch) {
      progress.clear();
      process.stderr.write(`watching ${textOf(folder)}; Ctrl-C ends it\n`);
      run.flags = { ...flags, verbose: true };
      for await (const found of follow(folder, seen, signal)) {
        await untilReached(session, () => importOne(found));
        progress.clear();
      }
    }
    summary.complete = true;
  } finally {
    progress.clear();
    const planned = flags.dryRun ? sums.all() : undefined;
    if (flags.json) await printJson({ summary: { ...summary, ...planned } });
    else for (const line of [...summaryLines(summary), ...sumsLines(planned)]) await printLine(line);
  }
  return exitCode;
}

/** Waits for a daemon that is away: a folder is watched for days. */
async function untilReached({ signal, report }: Session, work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) return;
      if (!isUnreachable(error)) throw error;
      report(error);
      await setTimeout(AWAY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

async function outcomeOf(run: Run, found: Found): Promise<Outcome> {
  if (found.kind === 'unreadable') return failedOrGone(found.error);
  if (found.kind !== 'file') return { outcome: 'skipped', reason: REASON_OF_KIND[found.kind] };
  try {
    return await importFile(run, found);
  } catch (error) {
    const { reason = '', code, syscall } = error as { reason?: string; code?: unknown; syscall?: string };
    if (reason === 'DELETED_BEFORE') return { outcome: 'skipped', reason: 'IMPORTED_BEFORE' };
    if (reason in SKIPPED) return { outcome: 'skipped', reason: reason as SkipReason };
    const ofThisFile = code === INVALID_ARGUMENT || syscall !== undefined;
    if (!ofThisFile || run.session.signal.aborted) throw error;
    return failedOrGone(error);
  }
}

/** Skips a file that is gone: a running generator adds and removes files. */
function failedOrGone(error: unknown): Outcome {
  const isGone = (error as NodeJS.ErrnoException).code === 'ENOENT';
  return isGone ? { outcome: 'skipped', reason: 'GONE' } : { outcome: 'failed', error };
}

const REASON_OF_KIND = {
  link: 'SYMBOLIC_LINK',
  special: 'SPECIAL_FILE',
  thumbnail: 'THUMBNAIL',
  companion: 'COMPANION',
  aside: 'ASIDE',
} as const;

async function importFile(run: Run, file: FoundFile): Promise<Outcome> {
  if (!run.flags.move) return saveFile(run, await openImageFile(run.folder, file, run.session.signal));
  const { client, signal } = run.session;
  const state = await stateOf(file.path);
  const image = await openImageFile(run.folder, file, signal);
  const outcome = await saveFile(run, image);
  if (outcome.outcome === 'failed') return outcome;
  const filename = outcome.outcome === 'imported' ? outcome.filename : outcome.storedAs;
  // Not stored.
  if (filename === undefined) return outcome;
  const { provider } = run.flags;
  const kept = await removeSource(client, state, { filename, provider, sha256: image.sha256, signal }, run.names);
  return { ...outcome, removed: kept === undefined, ...kept };
}

async function saveFile(run: Run, image: ImageFile): Promise<Outcome> {
  const { stored } = run;
  const equal = await stored.claim(image.sha256);
  if (equal !== undefined) return { outcome: 'skipped', reason: 'DUPLICATE', storedAs: equal.filename };
  let outcome: Outcome | undefined;
  try {
    outcome = await saveClaimed(run, image);
    return outcome;
  } finally {
    stored.settle(image.sha256, outcome && storedBy(outcome));
  }
}

function storedBy(outcome: Outcome): StoredImage | undefined {
  if (outcome.outcome === 'imported') return { filename: outcome.filename };
  return outcome.outcome === 'skipped' && outcome.reason === 'DUPLICATE' ? { filename: outcome.storedAs } : undefined;
}

async function saveClaimed(run: Run, { source, sizeBytes, sha256, describe }: ImageFile): Promise<Outcome> {
  const { session, flags } = run;
  const { metadata, pinned } = withFlags(await describe(), flags);
  const image = { sizeBytes, sha256, metadata, pinned };
  if (flags.dryRun) return { outcome: 'imported', ...image };
  const { client, signal } = session;
  const idempotencyKey = keyOf(sha256, metadata, run.id);
  const saved = await client.save(source, metadata, {
    provider: flags.provider,
    idempotencyKey,
    pinned,
    signal,
    unlessDeleted: !flags.bringBack,
    // It was read here, and may be edited: by a record beside the image.
    embedded: 'ignore',
  });
  if (saved.replayed) return { outcome: 'skipped', ...(await outcomeOfReplay(run, saved)) };
  // The metadata belongs to other bytes than were sent.
  if (saved.sha256 !== sha256) {
    await client.delete(saved.filename, { provider: flags.provider, permanent: true, signal });
    return { outcome: 'skipped', reason: 'CHANGED' };
  }
  return { outcome: 'imported', ...image, filename: saved.filename };
}

/**
 * Returns DUPLICATE where the image exists (another import saved it meanwhile, or this one by an attempt whose answer
 * was lost), else IMPORTED_BEFORE.
 */
async function outcomeOfReplay(
  { session, flags }: Run,
  { filename, deleted }: SavedImage,
): Promise<{ reason: SkipReason; storedAs?: string }> {
  const { client, signal } = session;
  // An older daemon does not say that it was deleted.
  const isThere = !deleted && (await exists(client, filename, { provider: flags.provider, signal }));
  return isThere ? { reason: 'DUPLICATE', storedAs: filename } : { reason: 'IMPORTED_BEFORE' };
}

function withFlags({ metadata, pinned }: Description, { category, tag = [] }: ImportFlags): Description {
  const tags = [...new Set([...(metadata.tags ?? []), ...tag])];
  return { metadata: { ...metadata, category: category ?? metadata.category, tags }, pinned };
}

/**
 * Returns the idempotency key of bytes and metadata, and of the run where that brings deleted images back: their own key
 * would answer that they are deleted.
 */
function keyOf(sha256: string, metadata: Description['metadata'], run?: string): string {
  const described = createHash('sha256').update(JSON.stringify(metadata)).digest('hex').slice(0, 16);
  return ['import', sha256, described, run].filter(Boolean).join(':');
}

function count(summary: Summary, outcome: Outcome): void {
  if (outcome.outcome !== 'failed' && outcome.removed) summary.removed = (summary.removed ?? 0) + 1;
  if (outcome.outcome === 'imported') {
    summary.imported += 1;
    summary.importedBytes += outcome.sizeBytes;
  } else if (outcome.outcome === 'failed') summary.failed += 1;
  else summary.skipped[outcome.reason] = (summary.skipped[outcome.reason] ?? 0) + 1;
}

function isTold(outcome: Outcome, { json, verbose }: ImportFlags): boolean {
  if (keptOf(outcome) !== undefined) return true;
  if (json || verbose || outcome.outcome === 'failed') return true;
  return outcome.outcome === 'skipped' && TOLD.has(outcome.reason);
}

/** Prints the outcome. Returns its exit code. */
async function tell({ session, folder, flags }: Run, { path }: Found, outcome: Outcome): Promise<number> {
  if (!isTold(outcome, flags)) return EXIT.OK;
  const file = textOf(relative(folder, path));
  const kept = keptOf(outcome);
  if (kept !== undefined && !flags.json) printError(`${file}: stays${keptLine(kept)}`);
  if (flags.json) await printJson({ file, ...jsonOf(outcome) });
  else if (flags.verbose && outcome.outcome === 'skipped') await printLine(skipLine(file, outcome));
  else if (outcome.outcome === 'skipped' && TOLD.has(outcome.reason)) printError(`${file}: ${SKIPPED[outcome.reason]}`);
  else if (flags.verbose && outcome.outcome === 'imported') await printLine(importLine(file, outcome));
  return outcome.outcome === 'failed' ? session.report(outcome.error, file) : EXIT.OK;
}

function keptOf(outcome: Outcome): Kept | undefined {
  if (outcome.outcome === 'failed' || outcome.kept === undefined) return undefined;
  const { kept, message, keptAs } = outcome;
  return { kept, message, keptAs };
}

function keptLine({ kept, message, keptAs }: Kept): string {
  const as = keptAs === undefined ? '' : `, as ${keptAs}, since its name is taken`;
  return displayText(`${as}: ${KEPT[kept]}${message === undefined ? '' : `: ${message}`}`);
}

function keptCode(outcome: Outcome): number {
  const { kept } = keptOf(outcome) ?? {};
  if (kept === undefined || kept === 'CHANGED') return EXIT.OK;
  return kept === 'BYTES_MISSING' ? EXIT.IO : EXIT.NEGATIVE;
}

function strictCode({ path }: Found, outcome: Outcome, { strict }: ImportFlags): number {
  const isLost = outcome.outcome === 'skipped' && NOT_WHOLE.has(outcome.reason) && IMAGE_NAME.test(path);
  return strict && isLost ? EXIT.NEGATIVE : EXIT.OK;
}

function jsonOf(outcome: Outcome): Record<string, unknown> {
  if (outcome.outcome === 'failed') return { outcome: 'failed', message: (outcome.error as Error).message };
  if (outcome.outcome === 'skipped') return { ...outcome };
  const { metadata, ...image } = outcome;
  return { ...image, ...metadata, timestamp: metadata.timestamp.toISOString() };
}

/** In a dry run, what it would be stored with. */
function importLine(file: string, { filename, metadata }: Extract<Outcome, { outcome: 'imported' }>): string {
  if (filename !== undefined) return displayText(`imported  ${file} as ${filename}`);
  const { timestamp, model = '', prompt = '' } = metadata;
  const cells = [file, formatTime(timestamp), model, shorten(displayText(prompt), SHOWN_PROMPT_WIDTH)];
  return cells.filter(Boolean).map(displayText).join('  ');
}

function skipLine(file: string, { reason, storedAs }: Extract<Outcome, { outcome: 'skipped' }>): string {
  const why = storedAs === undefined ? SKIPPED[reason] : `stored already, as ${storedAs}`;
  return displayText(`skipped   ${file}: ${why}`);
}
