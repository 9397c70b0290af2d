/** What a crash test does to a store, and the steps of its protocol that it goes through. */
import { openStore } from '../support/check-store.ts';
import { imageOf, type Ledger } from '../support/ledger.ts';
import { type ForkedStore, ProcessGone } from './forked-store.ts';

export interface Scenario {
  name: string;
  /** What lies in the folder before; default nothing. */
  prepare?: (basePath: string, ledger: Ledger) => Promise<void>;
  /** What is done to the store while it crashes; starting and stopping it are part of every scenario. */
  act?: (store: ForkedStore, ledger: Ledger) => Promise<void>;
  shortIds?: string[];
  /** Steps that it must go through; a step that is renamed or forgotten shows here. */
  steps: string[];
  /** Unless all are wanted, the steps to crash at: at all others, another scenario does. Default: all. */
  own?: string[];
  /** Of deleted images that can be brought back. Unless all are wanted, the others delete for good. */
  trash?: true;
  /** Unless all are wanted, each step is crashed at once, at one of its times, by the seed. */
  isSampled?: true;
}

/** Here what is committed is in the log only. */
export const CHECKPOINT = 'log-to-be-emptied';
export const START = ['locked', 'format-read', CHECKPOINT, 'generation-raised', 'recovered'];
export const SAVE = [
  'part-opened',
  'chunk-written',
  'bytes-synced',
  'linked',
  'record-staged',
  'folders-synced',
  'committed',
  'record-placed',
  'part-unlinked',
];
export const UPDATE = [
  'update-staged',
  'folders-synced',
  'committed',
  'update-synced',
  'update-placed',
  'updates-restored',
];
export const DELETE = ['folders-synced', 'committed', 'unlinked', 'unlinks-synced'];
export const TRASH = ['folders-synced', 'committed', 'record-trashed', 'image-trashed', 'unlinks-synced'];
export const RESTORE = [
  'restore-staged',
  'image-brought-back',
  'record-brought-back',
  'folders-synced',
  'committed',
  'update-synced',
  'update-placed',
];
export const PURGE = ['committed', 'unlinked', 'unlinks-synced'];
export const RECOVERY = ['records-restored', 'staged-settled', 'unlinked', 'unlinks-synced'];
export const CATCH_UP = ['deletes-taken-in', 'trash-taken-in', 'records-taken-in'];
export const REBUILD = ['rebuilt', 'old-catalog-aside', 'new-catalog-in-place'];

export function namesOf(ledger: Ledger): string[] {
  return ledger.live().map(({ filename }) => filename);
}

export async function survives(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (error instanceof ProcessGone && error.how === 'SIGKILL') return false;
    throw error;
  }
}

export async function saveAll(basePath: string, ledger: Ledger, count: number): Promise<void> {
  const storage = await openStore(basePath);
  for (let number = 1; number <= count; number += 1)
    await ledger.save(storage, imageOf(number, { pinned: number === 2 }));
  await storage.close();
}
