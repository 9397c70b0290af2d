/** The records of a ZIP archive, read by others: ordinary ones, and those of ZIP64 beyond 4 GiB. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { afterAll, expect, it } from 'vitest';
import { type ZipEntry, ZipRecords } from '../../src/http/zip-records.ts';
import { requires } from '../support/requires.ts';
import { full } from '../support/scale.ts';

const READER = fileURLToPath(new URL('../support/zip.py', import.meta.url));
const GIB = 1024 ** 3;
const folder = mkdtempSync(join(tmpdir(), 'image-storage-zip-'));
const path = join(folder, 'a.zip');
const text = Buffer.from('seen by whoever reads the archive\n');
afterAll(() => rmSync(folder, { recursive: true }));

const entryOf = (name: string, time = new Date('2024-09-27T14:15:22Z')): ZipEntry => ({
  name,
  sizeBytes: text.length,
  crc32: crc32(text),
  time,
});

/** Entries without bytes are holes, so that a large archive takes no room. */
function write(entries: [ZipEntry, Buffer | undefined][]): void {
  const file = openSync(path, 'w');
  const records = new ZipRecords();
  let at = 0;
  let pieces: Buffer[] = [];
  const flush = (hole = 0) => {
    const bytes = Buffer.concat(pieces);
    writeSync(file, bytes, 0, bytes.length, at);
    at += bytes.length + hole;
    pieces = [];
  };
  for (const [entry, bytes] of entries) {
    pieces.push(records.begin(entry), bytes ?? Buffer.alloc(0));
    if (bytes === undefined && entry.sizeBytes > 0) flush(entry.sizeBytes);
  }
  pieces.push(records.end());
  flush();
  closeSync(file);
}

const read = (...names: string[]) =>
  JSON.parse(execFileSync('python3', [READER, path, ...names], { encoding: 'utf8' }));
const sha256 = createHash('sha256').update(text).digest('hex');
const hasPython = spawnSync('python3', ['-c', 'import zipfile']).status === 0;
const hasUnzip = spawnSync('unzip', ['-v']).status === 0;

requires('python3', hasPython)('Python', () => {
  it('reads names, times and bytes', () => {
    const entries = [
      entryOf('a.png'),
      entryOf('archive/a.png'),
      entryOf('Füchse 🦊.txt'),
      entryOf('old', new Date('1970-01-01T00:00:00Z')),
      entryOf('late', new Date('9999-12-31T23:59:59Z')),
    ];
    write(entries.map((entry) => [entry, text]));
    const told = read();
    expect(Object.keys(told)).toEqual(entries.map(({ name }) => name));
    expect(told['a.png']).toEqual({ size: text.length, stored: true, time: '2024-09-27T14:15:22', offset: 0, sha256 });
    expect([told.old.time, told.late.time]).toEqual(['1980-01-01T00:00:00', '2107-12-31T23:59:58']);
  });

  it('reads an entry beyond 4 GiB, behind one that is larger than that', () => {
    const large = { ...entryOf('large'), sizeBytes: 4.5 * GIB };
    write([
      [large, undefined],
      [entryOf('behind'), text],
      [entryOf('last'), text],
    ]);
    const { behind, last } = read('behind', 'last');
    expect(behind).toMatchObject({ size: text.length, sha256 });
    expect(behind.offset).toBeGreaterThan(4.5 * GIB);
    expect(last.sha256).toBe(sha256);
  });

  it('reads an entry of exactly as many bytes as 32 bits can say', () => {
    write([
      [{ ...entryOf('large'), sizeBytes: 0xffff_ffff }, undefined],
      [entryOf('behind'), text],
    ]);
    expect(read('behind').behind.sha256).toBe(sha256);
  });

  const readsMany = () => {
    write(Array.from({ length: 65_536 }, (_, at) => [{ ...entryOf(`${at}`), sizeBytes: 0, crc32: 0 }, undefined]));
    expect(Object.keys(read('0', '65535'))).toHaveLength(2);
  };
  if (full) it('reads more entries than 16 bits can count', readsMany);
});

requires('unzip', hasUnzip)('unzip', () => {
  it('finds nothing wrong', () => {
    write([
      [entryOf('a.png'), text],
      [entryOf('archive/a.png'), text],
    ]);
    expect(execFileSync('unzip', ['-t', path], { encoding: 'utf8' })).toContain('No errors detected');
    write([
      [{ ...entryOf('large'), sizeBytes: 4.5 * GIB }, undefined],
      [entryOf('behind'), text],
    ]);
    expect(execFileSync('unzip', ['-t', path, 'behind'], { encoding: 'utf8' })).toContain('behind');
  });

  it('takes the time for UTC wherever it runs', () => {
    write([[entryOf('a.png'), text]]);
    const there = { ...process.env, TZ: 'Pacific/Auckland' };
    execFileSync('unzip', ['-o', '-q', path, '-d', folder], { env: there });
    const seconds = execFileSync('stat', ['-c', '%Y', join(folder, 'a.png')], { encoding: 'utf8' });
    expect(Number(seconds) * 1000).toBe(Date.parse('2024-09-27T14:15:22Z'));
  });
});
