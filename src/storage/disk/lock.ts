/** The lock of a store, for one process: an SQLite EXCLUSIVE lock, which the kernel releases even after kill -9. */
import { access, constants } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { StoreOpenError } from '../domain/errors.ts';
import type { LockHolder, OnLocked } from '../domain/lock-holder.ts';
import { ifPresent } from './files.ts';
import { lockHolder } from './lock-holder.ts';

const RETRY_MS = 100;
const SQLITE_BUSY = 5;

export interface Lock {
  release(): void;
}

export interface LockOptions {
  /** How long to wait for another holder. */
  waitSeconds: number;
  signal?: AbortSignal | undefined;
  /** Called once, before the wait. */
  onLocked?: OnLocked | undefined;
}

/**
 * Acquires the lock; waits for another holder. Rejects with a StoreOpenError `locked` after that, with EACCES when this
 * user may not write the file, or with an AbortError when the signal fires.
 */
export async function openLock(path: string, { waitSeconds, signal, onLocked }: LockOptions): Promise<Lock> {
  // A file that it may not write SQLite opens for reading, and then grants BEGIN EXCLUSIVE without a lock.
  await ifPresent(access(path, constants.R_OK | constants.W_OK));
  const first = tryLock(path);
  if (first !== undefined) return first;
  const holder = await holderOf(path);
  const pid = holder.pid === undefined ? '' : ` (pid ${holder.pid})`;
  const locked = (waited: string) => new StoreOpenError('locked', `another process has the store open${pid}${waited}`);
  const why = await onLocked?.(holder);
  if (why !== undefined) throw locked(`: ${why}`);
  const deadline = Date.now() + waitSeconds * 1000;
  for (;;) {
    const lock = tryLock(path);
    if (lock !== undefined) return lock;
    if (Date.now() >= deadline) throw locked(`; waited ${waitSeconds} s for it`);
    await sleep(RETRY_MS, undefined, { signal });
  }
}

async function holderOf(path: string): Promise<LockHolder> {
  // Who has it is told where the system tells it.
  const pid = await lockHolder(path).catch(() => undefined);
  return { path, ...(typeof pid === 'number' && { pid }) };
}

function tryLock(path: string): Lock | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    database.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
    const held = database;
    return { release: () => held.close() };
  } catch (error) {
    database?.close();
    if (((error as { errcode?: number }).errcode ?? 0) % 256 === SQLITE_BUSY) return undefined;
    throw error;
  }
}
