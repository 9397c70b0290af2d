/** The lines of tokens: which are taken, what is said of the others, and how a token is found among them. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { SCOPES } from '../../src/auth/scope.ts';
import { findToken, newToken, parseTokens, tokenLine } from '../../src/auth/tokens.ts';

const sha256 = 'ab'.repeat(32);

describe('a new token', () => {
  it('has 256 random bits, and a line without it', () => {
    const token = newToken();
    expect(token).toMatch(/^is_[\w-]{43}$/);
    expect(newToken()).not.toBe(token);
    const line = tokenLine('worker', token, ['read', 'write'], new Date('2030-01-31T12:00:00Z'));
    const hash = createHash('sha256').update(token).digest('hex');
    expect(line).toBe(`worker ${hash} read,write 2030-01-31T12:00:00.000Z`);
    expect(findToken(parseTokens(line), token)).toMatchObject({ name: 'worker', scopes: ['read', 'write'] });
  });
});

describe('lines', () => {
  it('may be empty or comments, and end in a day that is included', () => {
    const text = `# who may call\n\n  worker ${sha256} read,write\r\nci\t${'0'.repeat(64)}  admin 2030-01-31\n`;
    expect(parseTokens(text).map(({ name, scopes, expiresAt }) => [name, scopes, expiresAt])).toEqual([
      ['worker', ['read', 'write'], undefined],
      ['ci', ['admin'], Date.parse('2030-02-01')],
    ]);
  });

  it('may be none: then nobody is let in', () => {
    expect(parseTokens('# nobody\n')).toEqual([]);
    expect(() => parseTokens('\n')).toThrow('has no line');
  });

  it.each([
    ['w!rker', `w!rker ${sha256} read`, 'line 1: a name'],
    ['the token itself', `worker ${newToken()} read`, 'line 1: behind the name comes the sha256'],
    ['no scope', `worker ${sha256}`, 'line 1: its scopes'],
    ['an unknown scope', `# x\nworker ${sha256} read,root`, 'line 2: its scopes'],
    ['no expiry', `worker ${sha256} read soon`, 'line 1: its expiry'],
    ['the 30th of no month', `worker ${sha256} read 2030-13-30`, 'line 1: its expiry'],
    ['too much', `worker ${sha256} read 2030-01-31 more`, 'line 1: its expiry'],
    ['a name twice', `worker ${sha256} read\nworker ${'0'.repeat(64)} read`, 'line 2: another line has this name'],
    ['a sha256 twice', `worker ${sha256} read\nci ${sha256} read`, 'line 2: another line has this sha256'],
  ])('with %s are refused by their number, and not quoted', (_what, text, problem) => {
    const refusal = () => parseTokens(text);
    expect(refusal).toThrow(problem);
    for (const word of text.split(/\s+/).filter((each) => each.length > 20)) expect(refusal).not.toThrow(word);
  });
});

describe('finding', () => {
  it.each([0, 1, 2, 3])('compares with every entry, wherever the token stands: %s', (at) => {
    const all = SCOPES.map((scope) => ({ scope, token: newToken() }));
    const entries = parseTokens(all.map(({ scope, token }) => tokenLine(scope, token, [scope])).join('\n'));
    let compared = 0;
    const isEqual = (a: Buffer, b: Buffer) => {
      compared += 1;
      return timingSafeEqual(a, b);
    };
    expect(findToken(entries, all[at]!.token, isEqual)?.name).toBe(SCOPES[at]);
    expect(findToken(entries, newToken(), isEqual)).toBeUndefined();
    expect(compared).toBe(2 * entries.length);
  });
});
