/** What a program and the thread of a catalog send each other. */
import type { StoreOpenError } from '../../domain/errors.ts';
import type { CatalogFailure } from '../catalog.ts';
import type { CatalogFile } from './opening.ts';

/** What a thread does with the file of its catalog. */
export type Role = 'writer' | 'reader';

/** What a thread is started with. */
export interface ThreadData {
  role: Role;
}

/** To the thread; `use`: the calls behind it mean the catalog in this file. */
export type Request = { use: CatalogFile } | Call;

export interface Call {
  id: number;
  method: string;
  args: readonly unknown[];
}

/** To the program: exactly one for each call, in any order. */
export type Answer = { id: number; result: unknown } | { id: number; error: PlainError };

/** A CatalogError or a StoreOpenError, without its class. */
export type PlainError =
  | { failure: CatalogFailure; message: string }
  | { kind: StoreOpenError['kind']; message: string };
