/** Long JSON is checked in steps, and found to be what JSON.parse would make of it. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type JsonLimits, jsonObjectProblem } from '../../src/storage/domain/json.ts';
import { seed } from '../support/scale.ts';

const MIB = 1024 * 1024;

function problemOf(text: string, limits?: JsonLimits): { problem: string | undefined; steps: number } {
  const scan = jsonObjectProblem(text, limits);
  for (let steps = 1; ; steps += 1) {
    const { done, value } = scan.next();
    if (done) return { problem: value ?? undefined, steps };
  }
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

describe('a text', () => {
  const pieces = fc.constantFrom(
    ...[
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '"a"',
      '""',
      '1',
      '-',
      '0',
      '01',
      '1.5',
      '1e5',
      '1e',
      '.',
      'true',
      'null',
      'nul',
    ],
    ...[
      ' ',
      '\n',
      '\u00a0',
      '\ufeff',
      '\\',
      '"\\n"',
      '"\\u12ab"',
      '"\\u12"',
      '\u0001',
      '"\t"',
      '-0',
      '1E+5',
      '"k":',
      '{"a":1}',
    ],
  );

  it('is an object where JSON.parse makes one of it', () => {
    const check = (text: string) => {
      expect(problemOf(text).problem === undefined, text).toBe(isObject(text));
    };
    fc.assert(
      fc.property(
        fc.array(pieces, { maxLength: 8 }).map((parts) => `{${parts.join('')}`),
        check,
      ),
      {
        numRuns: 20_000,
        seed,
      },
    );
    fc.assert(fc.property(fc.json(), check), { seed });
    fc.assert(
      fc.property(fc.json({ maxDepth: 3 }), fc.nat(), pieces, (json, at, piece) => {
        const place = at % (json.length + 1);
        check(json.slice(0, place) + piece + json.slice(place + 1));
      }),
      { numRuns: 5_000, seed },
    );
  });
});

describe('one mebibyte', () => {
  it.each([
    ['of spaces', `{${' '.repeat(MIB)}}`],
    ['of one text', JSON.stringify({ text: 'x'.repeat(MIB) })],
    ['of escapes', `{"text":"${'\\n'.repeat(MIB / 2)}"}`],
    ['of arrays', `{"a":[${Array(MIB / 4).fill('[]')}]}`],
    ['of depth', `{"a":${'['.repeat(MIB / 2)}${']'.repeat(MIB / 2)}}`],
    ['of keys', `{${Array(MIB / 8).fill('"":1')}}`],
  ])('%s is an object, found in many steps', (_, text) => {
    const { problem, steps } = problemOf(text);
    expect(problem).toBeUndefined();
    expect(steps).toBeLessThan(1_000);
  });
});

describe('a limit', () => {
  it('of values counts those in objects and arrays', () => {
    const text = JSON.stringify({ a: [1, 2, { b: 'x' }], c: null });
    expect(problemOf(text, { maxValues: 7 }).problem).toBeUndefined();
    expect(problemOf(text, { maxValues: 6 }).problem).toBe('has more than 6 values');
  });

  it('of depth counts the outermost object', () => {
    expect(problemOf('{"a":[[]]}', { maxDepth: 3 }).problem).toBeUndefined();
    expect(problemOf('{"a":[[]]}', { maxDepth: 2 }).problem).toBe('is nested more than 2 levels deep');
  });

  it('of numbers sees each as it is written', () => {
    const seen: string[] = [];
    const problemOfNumber = (number: string) => void seen.push(number) as undefined;
    expect(problemOf('{"a":[1.50,-0,1E+5]}', { problemOfNumber }).problem).toBeUndefined();
    expect(seen).toEqual(['1.50', '-0', '1E+5']);
    expect(problemOf('{"a":7}', { problemOfNumber: () => 'is odd' }).problem).toBe('is odd');
  });
});
