/** One process a store: an SQLite EXCLUSIVE lock, which the kernel frees even after kill -9. */
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { StoreOpenError } from '../domain/errors.ts';

const RETRY_MS = 100;
const SQLITE_BUSY = 5;

export interface Lock {
  release(): void;
}

/** Waits for another holder up to `waitSeconds`, then throws `locked`; rejects when the signal fires before. */
export async function openLock(path: string, waitSeconds: number, signal?: AbortSignal): Promise<Lock> {
  const deadline = Date.now() + waitSeconds * 1000;
  for (;;) {
    const lock = tryLock(path);
    if (lock !== undefined) return lock;
    if (Date.now() >= deadline) {
      throw new StoreOpenError('locked', `another process has the store open; waited ${waitSeconds} s for it`);
    }
    await sleep(RETRY_MS, undefined, { signal });
  }
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
