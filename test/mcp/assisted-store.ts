/** A daemon with images to save beside it, for the tests of `image-storage mcp`, and what its tools answered. */
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CallToolResult } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import { connect, type ImageStorageClient } from '../../src/client.ts';
import { avifOf, pngOf, sharedImages } from '../support/images.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';

export interface AssistedStore {
  /** Beside what assistants may save. */
  readonly folder: string;
  /** What assistants may save. */
  readonly allowed: string;
  readonly daemon: RunningDaemon;
  readonly client: ImageStorageClient;
  /** Those of `image-storage mcp`. */
  readonly flags: string[];
}

/** Runs a daemon for the tests of a file, empty before each, and a folder of images for it. */
export function useAssistedStore(): AssistedStore {
  const store = {} as { -readonly [K in keyof AssistedStore]: AssistedStore[K] };

  beforeAll(async () => {
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'image-storage-mcp-')));
    const allowed = join(folder, 'allowed');
    await mkdir(allowed);
    await writeFile(join(allowed, 'small.png'), pngOf({ width: 40, height: 30 }));
    await writeFile(join(allowed, 'wide.png'), pngOf({ width: 8001, height: 1 }));
    await writeFile(join(allowed, 'flat.avif'), avifOf({ width: 40, height: 30 }));
    await writeFile(join(allowed, 'notes.txt'), 'no image');
    await writeFile(join(folder, 'secret.png'), pngOf({ width: 20, height: 20 }));
    for (const { name, path } of sharedImages()) await cp(path, join(allowed, name));
    const daemon = await runDaemon();
    const flags = ['--address', daemon.address, '--allow-dir', allowed];
    Object.assign(store, { folder, allowed, daemon, client: connect(daemon.address), flags });
  });

  afterAll(async () => {
    store.client.close();
    await store.daemon.close();
    await rm(store.folder, { recursive: true });
  });

  beforeEach(async () => {
    await store.client.delete(await stored(store));
  });

  return store;
}

/** The filenames of all images, in order. */
export async function stored({ client }: AssistedStore): Promise<string[]> {
  const filenames: string[] = [];
  for await (const { filename } of client.list()) filenames.push(filename);
  return filenames.sort();
}

/** Images of one's own, so that an assistant has something to delete; the oldest first. */
export async function saveSome({ client }: AssistedStore, count = 3): Promise<string[]> {
  const filenames: string[] = [];
  for (let at = 0; at < count; at += 1) {
    const bytes = pngOf({ width: 16, height: 16, seed: at });
    const timestamp = new Date(Date.UTC(2024, 0, 1 + at));
    filenames.push((await client.save(bytes, { prompt: `picture ${at}`, model: 'test', timestamp })).filename);
  }
  return filenames;
}

/** What a tool answered, once: as text, which every host reads. */
// biome-ignore lint/suspicious/noExplicitAny: answers of every tool
export function structureOf(result: CallToolResult): any {
  expect(result.isError, textOf(result)).not.toBe(true);
  expect(result.structuredContent).toBeUndefined();
  return JSON.parse(textOf(result));
}

/** The images of a list, which is a table. */
// biome-ignore lint/suspicious/noExplicitAny: columns are as the tool has them
export function rowsOf({ columns = [], rows = [] }: { columns?: string[]; rows?: unknown[][] }): any[] {
  return rows.map((row) => Object.fromEntries(columns.map((name, at) => [name, row[at]])));
}

function textOf({ content }: CallToolResult): string {
  const [first] = content;
  return first?.type === 'text' ? first.text : '';
}

/** The words of an error that an assistant can read. */
export function refusalOf(result: CallToolResult): string {
  expect(result.isError, textOf(result)).toBe(true);
  return textOf(result);
}

export const partOf = <Type extends string>({ content }: CallToolResult, type: Type) =>
  content.find((part): part is Extract<typeof part, { type: Type }> => part.type === type);
export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
