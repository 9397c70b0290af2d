/** Compares bytes as bytes; run before each test file for this effect. One by one, a megabyte takes 0.2 s of processor time. */
import { types } from 'node:util';
import { expect } from 'vitest';

/** Leaves to vitest what is not of one kind. */
function areEqualBytes(a: unknown, b: unknown): boolean | undefined {
  if (!types.isUint8Array(a) || !types.isUint8Array(b) || a.constructor !== b.constructor) return undefined;
  return Buffer.compare(a, b) === 0;
}

expect.addEqualityTesters([areEqualBytes]);
