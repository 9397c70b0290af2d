/** The messages between a program and a thread of its catalog. */
import type { Reason, StoreOpenError } from '../../domain/errors.ts';
import type { CatalogFailure } from '../catalog.ts';
import type { CatalogFile } from './opening.ts';

/** Which of the two threads of a catalog one is. */
export type Role = 'writer' | 'reader';

/** The data that a thread is started with. */
export interface ThreadData {
  role: Role;
  /** The memory of the Gate between the two threads. */
  gate: SharedArrayBuffer;
}

/** To the thread, several in a message. `use` directs the calls after it to the catalog in this file. */
export type Request = { use: CatalogFile } | Call;

export interface Call {
  id: number;
  method: string;
  args: readonly unknown[];
}

/** To the program, several in a message: one for each call, in any order. */
export type Answer = { id: number; result: unknown } | { id: number; error: PlainError };

/** A CatalogError, a StorageError or a StoreOpenError, without its class. */
export type PlainError =
  | { reason: Reason; message: string; retryAfterMs: number | undefined }
  | { failure: CatalogFailure; message: string }
  | { kind: StoreOpenError['kind']; message: string };
