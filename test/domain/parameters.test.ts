/** Which parameters a save takes: what the JSON readers of every language can parse. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { parseParameters, unreadableFor } from '../../src/storage/domain/parameters.ts';
import { requires } from '../support/requires.ts';

const hasPython = spawnSync('python3', ['--version']).status === 0;

/** An object of so many levels in all. */
const nested = (levels: number) => `${'{"a":['.repeat(levels / 2)}${']}'.repeat(levels / 2)}`;
const withNumber = (number: string) => `{"text":"1e999 \\" [[[","number":[0, ${number}]}`;

const ACCEPTED = [
  ['64 levels', nested(64)],
  ['many values side by side', `{"a":[${'[],'.repeat(10_000)}{}]}`],
  [
    'brackets and digits in strings',
    JSON.stringify({ ['{'.repeat(100)]: `\\"${'['.repeat(100)}${'9'.repeat(2000)}\\` }),
  ],
  ['a 64-bit seed', withNumber('18446744073709551615')],
  ['the largest double', withNumber('1.7976931348623157e308')],
  ['an integer of 309 digits', withNumber(`1${'0'.repeat(308)}`)],
  ['a number of 1,000 characters', withNumber(`-0.${'3'.repeat(997)}`)],
] as const;

it.each(ACCEPTED)('accepts %s', (_, json) => {
  expect(unreadableFor(json)).toBeUndefined();
  expect(parseParameters(json)).toEqual(expect.any(Object));
});

requires('python3', hasPython)('all that is accepted', () => {
  it.each(ACCEPTED)('is read by Python: %s', (_, json) => {
    const program = 'import json, sys; json.load(sys.stdin)';
    const { status, stderr } = spawnSync('python3', ['-c', program], { input: json, encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
  });
});

it.each([
  ['66 levels', nested(66), 'is nested more than 64 levels deep'],
  ['10,000 levels', nested(10_000), 'is nested more than 64 levels deep'],
  ['a million digits', withNumber('7'.repeat(1_000_000)), 'has a number of 1000000 characters, at most 1000 are kept'],
  ['1,001 characters', withNumber(`0.${'3'.repeat(999)}`), 'has a number of 1001 characters, at most 1000 are kept'],
  ['an integer of 310 digits', withNumber('9'.repeat(310)), 'has a number that is too large for a double'],
  ['a large exponent', withNumber('-1E+309'), 'has a number that is too large for a double'],
])('refuses %s', (_, json, problem) => {
  expect(unreadableFor(json)).toBe(problem);
});

describe('the parameters of an image that was saved before', () => {
  it('are parsed, or refused as JSON is, and never overflow the stack of their reader', () => {
    expect(parseParameters(nested(100))).toEqual(expect.any(Object));
    expect(() => parseParameters(nested(200_000))).toThrow(SyntaxError);
  });
});
