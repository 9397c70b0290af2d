/** Keeps the text index: gives each image its place in time, and writes the changes of a transaction in that order. */
import { StorageError } from '../../domain/errors.ts';
import type { ImageRecord } from '../../domain/record.ts';
import type { Settings } from '../generation-settings.ts';
import { indexedText } from '../search-fields.ts';
import { type SearchedText, searchedTextOf } from '../searched-text.ts';
import type { Connection } from './connection.ts';
import { NO_TIMESTAMP, SEARCH_TABLES } from './migrations/003-timeline.ts';
import { Slice } from './pause.ts';
import { StoredImage, writeSettings } from './stored-image.ts';

/** Of a place in time, for images of one timestamp. */
const SLOTS = 2 ** 15;
/** What one call of `indexOlder` adds, where their parameters are short: a few ms of work. */
const INDEXED_AT_ONCE = 250;
/** When the settings of more images may have been read. */
const RETRY_AFTER_MS = 5_000;

interface Place {
  seq: number;
  timestamp: number;
  /** 1 where the settings are stored. */
  isRead: number;
}

/** Without a text, the image is removed. */
interface Change {
  timestamp: number;
  slot: number;
  text?: string;
}

/** The changes of one transaction. */
export class TextIndex {
  readonly #db: Connection;
  readonly #changes: Change[] = [];
  #indexedFrom: number | undefined;

  constructor(db: Connection) {
    this.#db = db;
  }

  /**
   * Adds a new image. Leaves out what `indexOlder` will add, and the text of what has no free slot. Returns the settings
   * that it has read.
   */
  add(seq: number, record: ImageRecord, searched?: SearchedText): Settings | undefined {
    this.#indexedFrom ??= indexedFrom(this.#db);
    if (record.timestamp < this.#indexedFrom) return undefined;
    const { settings, text } = searched ?? searchedTextOf(record);
    writeSettings(this.#db, seq, settings);
    this.#add(seq, record.timestamp, () => text);
    return settings;
  }

  #add(seq: number, timestamp: number, textOf: () => string): void {
    const slot = this.#takeSlot(timestamp, seq);
    if (slot !== undefined) this.#changes.push({ timestamp, slot, text: textOf() });
    else this.#db.run('INSERT OR IGNORE INTO crowded (timestamp) VALUES (?)', timestamp);
  }

  remove(seq: number, { timestamp }: Pick<ImageRecord, 'timestamp'>): void {
    this.#db.run('DELETE FROM settings WHERE seq = ?', seq);
    const slot = this.#slotOf(timestamp, seq);
    if (slot === undefined) return;
    this.#db.run('DELETE FROM timeline WHERE place = (? << 15) | ?', timestamp, slot);
    this.#changes.push({ timestamp, slot });
  }

  /** Replaces the text of an image that is indexed. Requires that the row has the changes. */
  update(seq: number, { timestamp }: Pick<ImageRecord, 'timestamp'>): void {
    const slot = this.#slotOf(timestamp, seq);
    if (slot === undefined) return;
    const text = indexedText(new StoredImage(this.#db, seq));
    this.#changes.push({ timestamp, slot }, { timestamp, slot, text });
  }

  /** Writes the changes, in the order of time: FTS5 writes what it collected whenever the next rowid is a smaller one. */
  write(): void {
    this.#changes.sort((a, b) => a.timestamp - b.timestamp || a.slot - b.slot);
    for (const { timestamp, slot, text } of this.#changes) {
      if (text === undefined) this.#db.run('DELETE FROM prompts WHERE rowid = (? << 15) | ?', timestamp, slot);
      else this.#db.run('INSERT INTO prompts (rowid, text) VALUES ((? << 15) | ?, ?)', timestamp, slot, text);
    }
    this.#changes.length = 0;
  }

  /** Adds the newest of the images that are not indexed yet. Returns whether there may be more. */
  indexOlder(): boolean {
    const from = indexedFrom(this.#db);
    if (from === 0) return false;
    const newest = this.#places('timestamp < ?', from, INDEXED_AT_ONCE);
    const last = newest.at(-1)?.timestamp;
    // Those with the last timestamp may be more than were read.
    const together = last === undefined ? [] : this.#places('timestamp = ?', last, SLOTS + 1);
    const alone = newest.filter(({ timestamp }) => timestamp !== last);
    if (!this.#storeSettings([...alone, ...together])) return true;
    if (newest.length < INDEXED_AT_ONCE) this.#db.run("DELETE FROM store WHERE name = 'indexed_from'");
    else this.#db.run("UPDATE store SET value = ? WHERE name = 'indexed_from'", last!);
    this.#addAll(alone);
    if (together.length <= SLOTS) this.#addAll(together);
    else this.#db.run('INSERT INTO crowded (timestamp) VALUES (?)', last!);
    this.write();
    return newest.length === INDEXED_AT_ONCE;
  }

  #addAll(places: readonly Place[]): void {
    for (const { seq, timestamp } of places) {
      this.#add(seq, timestamp, () => indexedText(new StoredImage(this.#db, seq)));
    }
  }

  /** Reads the parameters of images, which may be long. Returns false when its time is over. */
  #storeSettings(places: readonly Place[]): boolean {
    const slice = new Slice();
    for (const { seq } of places.filter(({ isRead }) => isRead === 0)) {
      if (slice.isOver) return false;
      writeSettings(this.#db, seq, new StoredImage(this.#db, seq).settings);
    }
    return true;
  }

  #places(where: string, timestamp: number, limit: number): Place[] {
    const sql = `
      SELECT seq, timestamp, EXISTS (SELECT 1 FROM settings WHERE settings.seq = images.seq) AS isRead
      FROM images INDEXED BY images_time
      WHERE delete_time IS NULL AND ${where} ORDER BY timestamp DESC, filename DESC LIMIT ${limit}`;
    return this.#db.all(sql, timestamp) as unknown as Place[];
  }

  /** Takes a free slot; undefined when there is none. */
  #takeSlot(timestamp: number, seq: number): number | undefined {
    const sql = 'INSERT INTO timeline (place, seq) VALUES ((? << 15) | ?, ?) ON CONFLICT DO NOTHING';
    const take = (slot: number) => this.#db.run(sql, timestamp, slot, seq).changes === 1;
    // Distinct for images that came one after the other, and where a removal looks first.
    const first = seq % SLOTS;
    if (take(first)) return first;
    const free = this.#freeSlot(timestamp);
    return free !== undefined && take(free) ? free : undefined;
  }

  #freeSlot(timestamp: number): number | undefined {
    if (this.#db.value('SELECT 1 FROM crowded WHERE timestamp = ?', timestamp) === 1) return undefined;
    const sql = `
      SELECT slot FROM (SELECT 0 AS slot UNION ALL SELECT (place & 32767) + 1 FROM timeline WHERE place >= ?1 << 15 AND place < (?1 + 1) << 15)
      WHERE slot < ${SLOTS} AND NOT EXISTS (SELECT 1 FROM timeline WHERE place = (?1 << 15) | slot) LIMIT 1`;
    return this.#db.value(sql, timestamp) as number | undefined;
  }

  #slotOf(timestamp: number, seq: number): number | undefined {
    const at = 'SELECT place & 32767 FROM timeline WHERE place = (? << 15) | ? AND seq = ?';
    const within = 'SELECT place & 32767 FROM timeline WHERE place >= ?1 << 15 AND place < (?1 + 1) << 15 AND seq = ?2';
    const slot = this.#db.value(at, timestamp, seq % SLOTS, seq) ?? this.#db.value(within, timestamp, seq);
    return slot as number | undefined;
  }
}

/** Returns the first timestamp from which on all images are indexed, but for crowded ones. */
export function indexedFrom(db: Connection): number {
  return (db.value("SELECT value FROM store WHERE name = 'indexed_from'") as number | undefined) ?? 0;
}

/** Throws CATALOG_REBUILDING, with the progress, where the settings of some images are not read yet. */
export function checkSettingsRead(db: Connection): void {
  if (indexedFrom(db) === 0) return;
  const done = db.value('SELECT count(*) FROM timeline') as number;
  const count = db.value("SELECT count FROM rollups WHERE kind = 'total'") as number | undefined;
  const [read, all] = [done, count ?? 0].map((images) => images.toLocaleString('en-US'));
  const message = `the catalog reads settings of older images: ${read} of ${all} done`;
  throw new StorageError('CATALOG_REBUILDING', message, { retryAfterMs: RETRY_AFTER_MS });
}

/** Leaves all images to `indexOlder`. */
export function leaveToIndexing(db: Connection): void {
  const sql =
    "INSERT INTO store (name, value) VALUES ('indexed_from', ?) ON CONFLICT DO UPDATE SET value = excluded.value";
  db.run(sql, NO_TIMESTAMP);
}

/** Replaces the tables of the text index with empty ones. */
export function emptyIndex(db: Connection): void {
  db.exec(`DROP TABLE prompts; DROP TABLE timeline; DROP TABLE crowded; ${SEARCH_TABLES}`);
  leaveToIndexing(db);
}
