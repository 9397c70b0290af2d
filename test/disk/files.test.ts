/** File operations on a disk that does less than it is asked for. */
import { type FileHandle, mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeFolders, writeFully } from '../../src/storage/disk/files.ts';
import { noise } from '../support/images.ts';

it('goes on behind what a write has taken where that is less than all', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  const path = join(folder, 'image');
  const file = await open(path, 'w');
  const write = (from: Buffer, at: number, length: number, position: number) =>
    file.write(from, at, Math.min(length, 400), position);
  const bytes = noise(1_000, 1);
  await writeFully({ write } as FileHandle, bytes.subarray(0, 100), 0);
  await writeFully({ write } as FileHandle, bytes.subarray(100), 100);
  await file.close();
  expect((await readFile(path)).equals(bytes)).toBe(true);
  await rm(folder, { recursive: true });
});

it('makes a folder and those above it, once, and ends where none can be', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'image-storage-'));
  const deep = join(folder, 'a/b/c');
  await Promise.all([makeFolders(deep), makeFolders(deep), makeFolders(join(folder, 'a/b'))]);
  await makeFolders(deep);
  expect((await stat(deep)).isDirectory()).toBe(true);
  await writeFile(join(folder, 'file'), '');
  await expect(makeFolders(join(folder, 'file'))).rejects.toThrow('EEXIST');
  await expect(makeFolders(join(folder, 'file/below'))).rejects.toThrow('ENOTDIR');
  await rm(folder, { recursive: true });
  if (process.platform === 'linux') await expect(makeFolders('/proc/none/below')).rejects.toThrow('ENOENT');
});
