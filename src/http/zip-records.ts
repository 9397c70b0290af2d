/** The records of a ZIP archive of stored entries: PKWARE's APPNOTE 6.3, with those of ZIP64 where a number needs them. */

/** Numbers from here on have a place of 64 bits elsewhere. */
const MAX_16 = 0xffff;
const MAX_32 = 0xffff_ffff;
/** Folders, and ZIP64: APPNOTE 4.4.3. */
const [NEEDS_FOLDERS, NEEDS_ZIP64] = [20, 45];
/** By Unix, and an ordinary file that everybody reads. */
const MADE_BY = (3 << 8) | NEEDS_ZIP64;
const ATTRIBUTES = 0o100644 * 2 ** 16;
const NAME_IS_UTF8 = 1 << 11;
const STORED = 0;
const ZIP64_EXTRA = 0x0001;
/** A time in UTC, which those of DOS are not: Info-ZIP's field, with the time of the last change alone. */
const TIME_EXTRA = 0x5455;
const LAST_CHANGE = 1;
const MAX_SECONDS = 0x7fff_ffff;
/** Without the signature and the size itself. */
const END_64_BYTES = 44;

/** A file of the archive. */
export interface ZipEntry {
  /** With `/` between its folders. */
  name: string;
  sizeBytes: number;
  crc32: number;
  time: Date;
}

interface Placed extends ZipEntry {
  offset: number;
}

/** Makes what stands before, between and behind the bytes of the entries, which are counted on. */
export class ZipRecords {
  readonly #entries: Placed[] = [];
  #offset: number;

  /** `offset`: where the archive begins. */
  constructor(offset = 0) {
    this.#offset = offset;
  }

  /** Returns what stands before the bytes of an entry, all of which come next. */
  begin(entry: ZipEntry): Buffer {
    const header = localHeader(entry);
    this.#entries.push({ ...entry, offset: this.#offset });
    this.#offset += header.length + entry.sizeBytes;
    return header;
  }

  /** Returns what stands behind the last entry. */
  end(): Buffer {
    const directory = Buffer.concat(this.#entries.map(directoryHeader));
    const end = endOf({ entries: this.#entries.length, sizeBytes: directory.length, offset: this.#offset });
    return Buffer.concat([directory, end]);
  }
}

function localHeader(entry: ZipEntry): Buffer {
  const { name, sizeBytes } = entry;
  const sizes = sizeBytes < MAX_32 ? [] : [sizeBytes, sizeBytes];
  const extra = Buffer.concat([zip64Extra(sizes), timeExtra(entry)]);
  return Buffer.concat([packed(u32(0x0403_4b50), ...common(entry, sizes, extra)), Buffer.from(name), extra]);
}

function directoryHeader(entry: Placed): Buffer {
  const { name, sizeBytes, offset } = entry;
  const large = [...(sizeBytes < MAX_32 ? [] : [sizeBytes, sizeBytes]), ...(offset < MAX_32 ? [] : [offset])];
  const extra = Buffer.concat([zip64Extra(large), timeExtra(entry)]);
  const [comment, disk, internal] = [u16(0), u16(0), u16(0)];
  const header = packed(
    u32(0x0201_4b50),
    u16(MADE_BY),
    ...common(entry, large, extra),
    comment,
    disk,
    internal,
    u32(ATTRIBUTES),
    u32(offset),
  );
  return Buffer.concat([header, Buffer.from(name), extra]);
}

/** What the two headers of an entry share. */
function common({ name, sizeBytes, crc32, time }: ZipEntry, large: number[], extra: Buffer): Field[] {
  const { date, timeOfDay } = dosTime(time);
  return [
    u16(large.length > 0 ? NEEDS_ZIP64 : NEEDS_FOLDERS),
    u16(NAME_IS_UTF8),
    u16(STORED),
    u16(timeOfDay),
    u16(date),
    u32(crc32),
    u32(sizeBytes),
    u32(sizeBytes),
    u16(Buffer.byteLength(name)),
    u16(extra.length),
  ];
}

function zip64Extra(values: number[]): Buffer {
  return values.length === 0 ? Buffer.alloc(0) : packed(u16(ZIP64_EXTRA), u16(values.length * 8), ...values.map(u64));
}

function timeExtra({ time }: ZipEntry): Buffer {
  const seconds = Math.floor(time.getTime() / 1000);
  if (seconds > MAX_SECONDS) return Buffer.alloc(0);
  return packed(u16(TIME_EXTRA), u16(5), [1, LAST_CHANGE], u32(seconds));
}

/** In UTC, in steps of two seconds, from 1980 to 2107. */
function dosTime(time: Date): { date: number; timeOfDay: number } {
  const year = time.getUTCFullYear();
  if (year < 1980) return { date: (1 << 5) | 1, timeOfDay: 0 };
  const date = (Math.min(year - 1980, 127) << 9) | ((time.getUTCMonth() + 1) << 5) | time.getUTCDate();
  const timeOfDay = (time.getUTCHours() << 11) | (time.getUTCMinutes() << 5) | (time.getUTCSeconds() >> 1);
  return { date, timeOfDay };
}

interface Directory {
  entries: number;
  sizeBytes: number;
  /** Where it begins. */
  offset: number;
}

function endOf({ entries, sizeBytes, offset }: Directory): Buffer {
  const isLarge = entries >= MAX_16 || sizeBytes >= MAX_32 || offset >= MAX_32;
  const [disk, disks, comment] = [u16(0), u16(0), u16(0)];
  const end = packed(u32(0x0605_4b50), disk, disks, u16(entries), u16(entries), u32(sizeBytes), u32(offset), comment);
  if (!isLarge) return end;
  const end64 = packed(
    u32(0x0606_4b50),
    u64(END_64_BYTES),
    u16(MADE_BY),
    u16(NEEDS_ZIP64),
    u32(0),
    u32(0),
    u64(entries),
    u64(entries),
    u64(sizeBytes),
    u64(offset),
  );
  const locator = packed(u32(0x0706_4b50), u32(0), u64(offset + sizeBytes), u32(1));
  return Buffer.concat([end64, locator, end]);
}

type Field = readonly [bytes: 1 | 2 | 4 | 8, value: number];

/** What does not fit is all ones: a reader then looks for it in ZIP64's places. */
const u16 = (value: number): Field => [2, Math.min(value, MAX_16)];
const u32 = (value: number): Field => [4, Math.min(value, MAX_32)];
const u64 = (value: number): Field => [8, value];

/** Little-endian, without gaps. */
function packed(...fields: Field[]): Buffer {
  const buffer = Buffer.alloc(fields.reduce((sum, [bytes]) => sum + bytes, 0));
  let at = 0;
  for (const [bytes, value] of fields) {
    if (bytes === 8) buffer.writeBigUInt64LE(BigInt(value), at);
    else buffer.writeUIntLE(value, at, bytes);
    at += bytes;
  }
  return buffer;
}
