/**
 * One check of `doctor`: its name, verdict and message, and how a failure becomes a message that says what to change.
 */

import { ObjectStoreError } from '../bucket/object-store.ts';
import { StoreOpenError } from '../domain/errors.ts';

export interface Check {
  /** What was checked: `create`, `clock`, … */
  name: string;
  /** `note`: works, with something worth knowing · `failed`: a daemon would not work. */
  verdict: 'ok' | 'note' | 'skipped' | 'failed';
  /** What was found, or what to change; no secret. */
  message: string;
}

/** The result of a check; text alone means `ok`. */
export type CheckResult = string | Omit<Check, 'name'>;

export function note(message: string): CheckResult {
  return { verdict: 'note', message };
}

export function skipped(message: string): CheckResult {
  return { verdict: 'skipped', message };
}

/** Thrown when something works differently than a daemon needs it; `message` says what to change. */
export class Shortcoming extends Error {
  override readonly name = 'Shortcoming';
}

/**
 * Runs the check, yields its result, and returns the error that made it fail. Throws an error that is not for people: a
 * bug.
 */
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

/** Returns whether the message of the error is for people. */
function isUserFacing(error: unknown): error is Error {
  return error instanceof Shortcoming || error instanceof ObjectStoreError || error instanceof StoreOpenError;
}
