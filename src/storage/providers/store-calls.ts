/** What a provider asks of its store to read and remove an image. */
import type { ChangeOutcome, Moment } from '../catalog/catalog.ts';
import type { StorageError } from '../domain/errors.ts';

/** Bytes of an image that are read. */
export interface ByteRange {
  offset: number;
  length: number;
  /** As in GetOptions. */
  reuseMemory?: boolean | undefined;
  /** The image is in the trash. */
  trashed?: boolean | undefined;
}

/** How an image is removed. */
export interface RemoveOptions {
  /** A pinned image stays. */
  sparePinned: boolean;
  /** So does one that the index learnt or changed after this moment. */
  unchangedSince?: Moment | undefined;
  /** Past the trash. */
  permanent: boolean;
}

/** `bytesRemain`: the image is deleted, but its bytes are there. `purgeTime`: it is in the trash until then, ms since 1970. */
export type Removal = ChangeOutcome & { bytesRemain?: StorageError; purgeTime?: number };
