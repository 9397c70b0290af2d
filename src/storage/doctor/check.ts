/** One check of `doctor`: what was looked at, what was found, and how a failure becomes words that say what to change. */

import { ObjectStoreError } from '../bucket/object-store.ts';
import { StoreOpenError } from '../domain/errors.ts';

export interface Check {
  /** What was looked at: `create`, `clock`, … */
  name: string;
  /** `note`: it works, and somebody should know · `failed`: a daemon would not do its work. */
  verdict: 'ok' | 'note' | 'skipped' | 'failed';
  /** What was found, or what to change; no secret. */
  message: string;
}

/** Text alone means ok. */
export type CheckResult = string | Omit<Check, 'name'>;

export function note(message: string): CheckResult {
  return { verdict: 'note', message };
}

export function skipped(message: string): CheckResult {
  return { verdict: 'skipped', message };
}

/** It works differently than a daemon needs it; `message` says what to change. */
export class Shortcoming extends Error {
  override readonly name = 'Shortcoming';
}

/** Yields the check, and gives what made it fail. Rejects with a bug. */
export async function* step(name: string, work: () => Promise<CheckResult>): AsyncGenerator<Check, Error | undefined> {
  try {
    const finding = await work();
    yield typeof finding === 'string' ? { name, verdict: 'ok', message: finding } : { name, ...finding };
    return undefined;
  } catch (error) {
    if (!isUserFacing(error)) throw error;
    yield { name, verdict: 'failed', message: error.message };
    return error;
  }
}

/** Those whose message is for people. */
function isUserFacing(error: unknown): error is Error {
  return error instanceof Shortcoming || error instanceof ObjectStoreError || error instanceof StoreOpenError;
}
