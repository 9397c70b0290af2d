/** The audit log: a JSON line per image deleted or brought back, so that a rebuilt catalog knows what stays deleted. */
import { open, readdir, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Tombstone } from '../catalog/catalog.ts';
import { DELETED_KEPT_MS } from '../catalog/deleted-bytes.ts';
import { ifPresent, readText, syncFile, syncFolder, writeFully } from '../disk/files.ts';
import { openPlain, statPlain } from '../disk/plain-files.ts';
import { folderOf, imageKey } from '../domain/naming.ts';
import type { ImageRecord, LoggedImage, TrashTimes } from '../domain/record.ts';

const ROTATE_BYTES = 16 * 1024 * 1024;
/** Kept whatever its age. */
const LEAST_ROTATIONS = 4;
/** 1 GiB. */
const MOST_ROTATIONS = 64;
/** About 200 lines. */
const TAIL_BYTES = 64 * 1024;
const NEWLINE = 0x0a;
const ACTIONS: readonly string[] = ['delete', 'cleanup', 'adopt', 'copy'];

/** The operation that deleted an image. */
export type DeletedBy = 'delete' | 'cleanup';
/** The operation that committed an image under a name that may have been deleted before. */
export type BroughtBackBy = 'adopt' | 'copy';

interface Entry {
  time: string;
  action: DeletedBy | BroughtBackBy;
  filename: string;
  model: string;
  size: number;
  sha256: string;
  idempotencyKey: string;
  fingerprint: string;
  /** Of a delete into the trash: until when the image can be brought back. */
  purgeTime?: string;
}

/** What the lines of a filename come to. */
interface Known {
  /** Whether the last one is a delete. */
  isDeleted: boolean;
  /** The latest time of all, ms since 1970. */
  time: number;
}

export class AuditLog {
  readonly #path: string;
  /** What the log has of each filename; read on first use. */
  #known: Promise<Map<string, Known>> | undefined;
  #queue: string[] = [];
  /** The log ends with a whole line, as far as this process has written it. */
  #endsWhole = false;
  #writing: Promise<void> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** With a `purgeTime`: into the trash. */
  async deleted(
    record: LoggedImage,
    by: DeletedBy,
    { deleteTime, purgeTime }: { deleteTime: number; purgeTime?: number },
  ): Promise<void> {
    await this.#append(record, by, deleteTime, purgeTime);
    const known = await this.#known;
    if (known !== undefined) note(known, record.filename, { isDeleted: true, time: deleteTime });
  }

  /**
   * Writes a line only for an image that the log has as deleted: lines for all would rotate its deletes out. Its time is
   * later than those of all lines before it: a reader goes by times, and the clock may have been set back since. The line is
   * on stable storage then: without it the image would be deleted again at the next start.
   */
  async broughtBack(record: ImageRecord, by: BroughtBackBy, time: number): Promise<void> {
    const { filename } = record;
    this.#known ??= knownIn(this.#path).catch((error) => {
      this.#known = undefined;
      throw error;
    });
    const known = await this.#known;
    const last = known.get(filename);
    if (last?.isDeleted !== true) return;
    const after = Math.max(time, last.time + 1);
    await this.#append(record, by, after);
    await syncFile(this.#path);
    await syncFolder(dirname(this.#path));
    note(known, filename, { isDeleted: false, time: after });
  }

  /** Writes all waiting lines together. Leaves prompts out. */
  #append(record: LoggedImage, action: Entry['action'], time: number, purgeTime?: number): Promise<void> {
    const { filename, model, size, sha256, idempotencyKey, fingerprint } = record;
    const at = new Date(time).toISOString();
    const entry: Entry = { time: at, action, filename, model, size, sha256, idempotencyKey, fingerprint };
    if (purgeTime !== undefined) entry.purgeTime = new Date(purgeTime).toISOString();
    this.#queue.push(`${JSON.stringify(entry)}\n`);
    this.#writing ??= this.#write();
    return this.#writing;
  }

  async #write(): Promise<void> {
    await Promise.resolve();
    try {
      while (this.#queue.length > 0) {
        await this.#rotate();
        // A power cut may have left zeros, or a part of a line.
        const begin = this.#endsWhole || (await endsWithLine(this.#path)) ? '' : '\n';
        await appendWhole(this.#path, begin + this.#queue.splice(0).join(''));
        this.#endsWhole = true;
      }
    } finally {
      this.#writing = undefined;
    }
  }

  async #rotate(): Promise<void> {
    const size = (await ifPresent(statPlain(this.#path)))?.size ?? 0;
    if (size < ROTATE_BYTES) return;
    await rename(this.#path, rotationOf(this.#path, Date.now()));
    const rotated = (await auditFiles(this.#path)).filter((path) => path !== this.#path);
    const oldest = rotationOf(this.#path, Date.now() - DELETED_KEPT_MS);
    const isOver = (path: string, i: number) => path < oldest || i < rotated.length - MOST_ROTATIONS;
    for (const path of rotated.slice(0, -LEAST_ROTATIONS).filter(isOver)) await unlink(path);
  }
}

/** Returns the name that the log gets when it is rotated at a time: in the order of time. */
function rotationOf(path: string, time: number): string {
  const stamp = new Date(time).toISOString().replace(/[-:.]/g, '');
  return path.replace(/\.jsonl$/, `-${stamp}.jsonl`);
}

/** Returns whether a file is empty, missing, or ends with a whole line. */
async function endsWithLine(path: string): Promise<boolean> {
  await using file = await ifPresent(openPlain(path));
  const { size } = (await file?.stat()) ?? { size: 0 };
  if (file === undefined || size === 0) return true;
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer[0] === NEWLINE;
}

/** Appends all of the text or nothing: a torn line would make the next one unreadable, too. */
async function appendWhole(path: string, text: string): Promise<void> {
  await using file = await openPlain(path, 'append');
  const { size } = await file.stat();
  try {
    await writeFully(file, Buffer.from(text), size);
  } catch (error) {
    await file.truncate(size);
    throw error;
  }
}

function isBringing(action: Entry['action'] | undefined): action is BroughtBackBy {
  return action === 'adopt' || action === 'copy';
}

async function knownIn(path: string): Promise<Map<string, Known>> {
  const known = new Map<string, Known>();
  for await (const { action, tombstone } of entriesOf(path)) {
    note(known, tombstone.record.filename, { isDeleted: !isBringing(action), time: tombstone.deleteTime });
  }
  return known;
}

function note(known: Map<string, Known>, filename: string, { isDeleted, time }: Known): void {
  known.set(filename, { isDeleted, time: Math.max(time, known.get(filename)?.time ?? 0) });
}

/** Returns the filenames whose last line in the newest part of the log is a delete. */
export async function lastDeletes(path: string): Promise<string[]> {
  const lastActions = new Map<string, Entry['action'] | undefined>();
  for (const line of (await readTail(path)).split('\n')) {
    const entry = parseEntry(line);
    if (entry !== undefined) lastActions.set(entry.tombstone.record.filename, entry.action);
  }
  return [...lastActions].flatMap(([filename, action]) => (isBringing(action) ? [] : filename));
}

async function readTail(path: string): Promise<string> {
  const file = await ifPresent(open(path, 'r'));
  if (file === undefined) return '';
  try {
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** The content of the log, as far back as it is kept. */
export interface Audit {
  /** Deletes for good. Their records have only the fields of a log line. */
  deletes: Tombstone[];
  /** Images whose last line is a delete into the trash, by their filenames. */
  trashed: Map<string, TrashTimes>;
  /** When each filename was last brought back, ms since 1970. */
  broughtBack: Map<string, number>;
}

export async function readAuditLog(path: string): Promise<Audit> {
  const audit: Audit = { deletes: [], trashed: new Map(), broughtBack: new Map() };
  for await (const entry of entriesOf(path)) take(entry, audit);
  return audit;
}

async function* entriesOf(path: string): AsyncGenerator<ParsedEntry> {
  for (const file of await auditFiles(path)) {
    const entries = ((await readText(file)) ?? '').split('\n').map(parseEntry);
    yield* entries.filter((entry) => entry !== undefined);
  }
}

function take({ action, tombstone, purgeTime }: ParsedEntry, { deletes, trashed, broughtBack }: Audit): void {
  const { record, deleteTime } = tombstone;
  if (purgeTime === undefined) trashed.delete(record.filename);
  if (isBringing(action)) broughtBack.set(record.filename, deleteTime);
  else if (purgeTime !== undefined) trashed.set(record.filename, { deleteTime, purgeTime });
  else {
    deletes.push(tombstone);
    // Also where the clock was set back between the two.
    broughtBack.delete(record.filename);
  }
}

/** Returns the files of the log, oldest first, the current one last. */
async function auditFiles(path: string): Promise<string[]> {
  const stem = basename(path, '.jsonl');
  const names = (await ifPresent(readdir(dirname(path)))) ?? [];
  const rotated = names.filter((name) => name.startsWith(`${stem}-`) && name.endsWith('.jsonl')).sort();
  return [...rotated.map((name) => join(dirname(path), name)), path];
}

interface ParsedEntry {
  action: Entry['action'] | undefined;
  tombstone: Tombstone;
  /** ms since 1970. */
  purgeTime?: number;
}

/** Returns undefined for a line of an action that this version does not know. */
function parseEntry(line: string): ParsedEntry | undefined {
  let entry: Partial<Entry>;
  try {
    // Zeros of a power cut, before which an older version began its line.
    entry = JSON.parse(line.slice(line.search(/[^\0]/))) as Partial<Entry>;
  } catch {
    return undefined;
  }
  const { filename, time } = entry;
  const deleteTime = Date.parse(time ?? '');
  if (typeof filename !== 'string' || folderOf(filename) === undefined || Number.isNaN(deleteTime)) return undefined;
  if (entry.action !== undefined && !ACTIONS.includes(entry.action)) return undefined;
  const record: ImageRecord = {
    filename,
    key: imageKey(filename),
    size: entry.size ?? 0,
    sha256: entry.sha256 ?? '',
    contentType: '',
    width: 0,
    height: 0,
    createTime: 0,
    pinned: false,
    prompt: '',
    model: entry.model ?? '',
    timestamp: 0,
    category: '',
    tags: [],
    parametersJson: '',
    idempotencyKey: entry.idempotencyKey ?? '',
    fingerprint: entry.fingerprint ?? '',
  };
  const purgeTime = Date.parse(entry.purgeTime ?? '');
  return {
    action: entry.action,
    tombstone: { record, deleteTime, unlinkPending: true },
    ...(!Number.isNaN(purgeTime) && { purgeTime }),
  };
}
