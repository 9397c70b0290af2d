/** Builds an image as callers see it, from its record and the location of its bytes. */

import type { ImageMetadata, StorageItem } from '../domain/image.ts';
import { parseParameters } from '../domain/parameters.ts';
import type { ImageRecord, StoredRecord, TrashedRecord } from '../domain/record.ts';
import type { StorageProvider } from '../types.ts';

/** Where callers fetch the bytes. */
export interface Location {
  url: string;
  path?: string;
}

export function itemOf(
  { name, storageType }: Pick<StorageProvider, 'name' | 'storageType'>,
  record: StoredRecord,
  location: Location,
): StorageItem {
  const { filename, key, size, sha256, contentType, width, height, pinned, generation, expireTime, thumbHash } = record;
  return {
    ...location,
    filename,
    key,
    size,
    storageType,
    provider: name,
    metadata: new StoredMetadata(record),
    sha256,
    contentType,
    width,
    height,
    createTime: new Date(record.createTime),
    pinned,
    ...(generation !== undefined && { generation }),
    ...(expireTime !== undefined && { expireTime: new Date(expireTime) }),
    ...(thumbHash !== undefined && { thumbHash: Buffer.from(thumbHash, 'base64') }),
  };
}

/** Builds an image of the trash as callers see it. */
export function trashedItemOf(
  provider: Pick<StorageProvider, 'name' | 'storageType'>,
  { deleteTime, purgeTime, ...record }: TrashedRecord,
  location: Location,
): StorageItem {
  const item = itemOf(provider, record, location);
  return { ...item, deleteTime: new Date(deleteTime), purgeTime: new Date(purgeTime) };
}

/** Parses the parameters only on access. A class, since an accessor in a literal would cost a closure per image. */
class StoredMetadata implements Required<ImageMetadata> {
  readonly prompt: string;
  readonly model: string;
  readonly timestamp: Date;
  readonly category: string;
  readonly tags: string[];
  readonly parametersJson: string;

  constructor({ prompt, model, timestamp, category, tags, parametersJson }: ImageRecord) {
    this.prompt = prompt;
    this.model = model;
    this.timestamp = new Date(timestamp);
    this.category = category;
    this.tags = tags;
    this.parametersJson = parametersJson;
  }

  get parameters(): Record<string, unknown> {
    return parseParameters(this.parametersJson);
  }
}
