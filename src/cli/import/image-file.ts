/** Reads one file of an imported folder: whether it is an image, and its metadata. */
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import type { ImageMetadata, Source } from '../../client.ts';
import { folderOf } from '../../storage/domain/naming.ts';
import type { ImageRecord } from '../../storage/domain/record.ts';
import { parseRecord } from '../../storage/domain/record-file.ts';
import { readEmbeddedMetadata } from '../../storage/embedded/metadata.ts';
import { inspectImage, modelInName } from '../../storage/maintenance/orphan.ts';
import { openInput } from '../shared/input.ts';
import { bytesOf } from '../shared/raw-path.ts';
import type { FoundFile } from '../shared/walk.ts';
import { dateInPath } from './path-date.ts';
import { unmarked } from './set-aside.ts';

export interface ImageFile {
  source: Source;
  /** The size as read; the file may have grown since it was found. */
  sizeBytes: number;
  /** Lower-case hex. */
  sha256: string;
  /** Returns the metadata, the same in every run for the same file. */
  describe(): Promise<Description>;
}

export interface Description {
  metadata: ImageMetadata & { timestamp: Date };
  pinned: boolean;
}

const CHUNK_BYTES = 256 * 1024;

/** Reads the file once. Rejects with the StorageErrors of a save; TYPE_NOT_ALLOWED before the second chunk. */
export async function openImageFile(folder: string, file: FoundFile, signal: AbortSignal): Promise<ImageFile> {
  const path = bytesOf(file.path);
  const { source, readAt } = await openInput(path, signal);
  const chunks = source instanceof Uint8Array ? [source] : fileChunks(path, signal);
  const { sha256, size } = await inspectImage(chunks);
  return {
    source,
    sizeBytes: size,
    sha256,
    async describe() {
      // What a killed run left has the metadata that it had under its own name.
      const named = unmarked(file.path);
      const [embedded, record] = await Promise.all([readEmbeddedMetadata(readAt), findRecord(named, sha256)]);
      const timestamp =
        embedded.timestamp?.getTime() ??
        // The record's date may be only that of the save.
        record?.timestamp ??
        dateInPath(relative(folder, named), file.modifiedAt) ??
        Math.max(0, file.modifiedAt);
      const metadata = {
        prompt: record?.prompt || embedded.prompt,
        model: record?.model || embedded.model || modelInName(basename(named)),
        parametersJson: record?.parametersJson || embedded.parametersJson,
        category: record?.category || undefined,
        tags: record?.tags,
        timestamp: new Date(timestamp),
      };
      return { metadata, pinned: record?.pinned ?? false };
    },
  };
}

function fileChunks(path: Buffer, signal: AbortSignal): AsyncIterable<Uint8Array> {
  return createReadStream(path, { highWaterMark: CHUNK_BYTES, signal });
}

/** Returns the image's record in a store of ImageStorage, from the mirrored folder or from beside the image. */
async function findRecord(path: string, sha256: string): Promise<ImageRecord | undefined> {
  const filename = basename(path);
  const place = folderOf(filename);
  if (place === undefined) return undefined;
  const end = join('images', 'generations', ...place.split('/'), filename);
  const mirrored = path.endsWith(sep + end)
    ? [`${path.slice(0, -end.length)}${end.replace('images', 'metadata')}.json`]
    : [];
  for (const candidate of [...mirrored, `${path}.json`]) {
    const text = await readFile(bytesOf(candidate), 'utf8').catch(() => '');
    const record = parseRecord(text, filename);
    if (record?.sha256 === sha256) return record;
  }
  return undefined;
}
