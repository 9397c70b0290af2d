/** What people read and type at the command line. */
import { describe, expect, it } from 'vitest';
import { collectParameter, parametersText, parseSize } from '../../src/cli/shared/flags.ts';
import { progressLine } from '../../src/cli/terminal/progress.ts';
import { tableFormatter } from '../../src/cli/terminal/table.ts';
import { displayText, displayWidth, escapeText, formatBytes, shorten } from '../../src/cli/terminal/text.ts';

describe('text that others wrote', () => {
  it('cannot drive the terminal', () => {
    expect(displayText('a\x1b[2Jb\r\nc\x9b31md\u202egnp')).toBe('a [2Jb c 31mdgnp');
    expect(displayText('👩‍🎨 \ud800')).toBe('👩‍🎨 \ufffd');
  });

  it('is the same JSON when every character is escaped that drives a terminal or cannot be seen', () => {
    const hidden = [0x7f, 0x9b, 0x85, 0x200b, 0x200d, 0x200e, 0x202e, 0x2028, 0x2029, 0x2066, 0xfeff, 0xe0041, 0x3164];
    const value = { text: String.fromCodePoint(0x1b, 0x0a, ...hidden), plain: '猫 é "\\" 🦊' };
    const json = escapeText(JSON.stringify(value));
    expect(JSON.parse(json)).toEqual(value);
    for (const code of hidden) expect(json).not.toContain(String.fromCodePoint(code));
    expect(json).toContain('\\udb40\\udc41');
    expect(json).toContain('猫 é');
  });

  it('is measured and cut in columns', () => {
    expect(displayWidth('猫 cafe\u0301 👩‍🎨')).toBe(10);
    expect(shorten('a red fox', 9)).toBe('a red fox');
    expect(shorten('a red fox', 6)).toBe('a red…');
    expect(shorten('猫猫猫', 5)).toBe('猫猫…');
    expect(shorten('猫猫猫', 4)).toBe('猫…');
  });
});

describe('a table', () => {
  it('aligns its columns and gives the last one what is left of the terminal', () => {
    const format = tableFormatter(
      [{ title: 'SIZE', align: 'right' }, { title: 'MODEL' }, { title: 'PROMPT', fill: true }],
      40,
    );
    const lines = format([
      ['1.3 MB', '猫', 'a red fox in the snow, at dawn, far away'],
      ['7 B', 'flux', ''],
    ]);
    expect(lines).toEqual(['  SIZE  MODEL  PROMPT', '1.3 MB  猫     a red fox in the snow, a…', '   7 B  flux']);
    expect(format([['2 B', 'sd', 'x']])).toEqual(['   2 B  sd     x']);
  });
});

it('shows how far an upload is', () => {
  expect(progressLine(1_300_000, 2_600_000)).toBe('[████████████············]  50%  1.3 MB of 2.6 MB');
});

describe('sizes', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1_349_000, '1.3 MB'],
    [999_960, '1.0 MB'],
    [250_000_000_000, '250 GB'],
  ])('%d reads %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it.each([
    ['4096', 4096],
    ['500MB', 500_000_000],
    ['10GiB', 10 * 1024 ** 3],
    ['1.5 k', 1500],
  ])('%s means %d', (text, bytes) => expect(parseSize(text)).toBe(bytes));

  it.each(['', 'GB', '-1', '1e3', '10 apples', '9999999 PB'])('%j is refused', (text) => {
    expect(() => parseSize(text)).toThrow('such as 500MB or 10GiB');
  });
});

it('keeps generation parameters as they were typed', () => {
  const typed = [
    'seed=18446744073709551615',
    'cfg=7.0',
    'hires=true',
    'vae=null',
    'sampler=euler "a"',
    'note=a=b',
    'steps=007',
  ];
  const parameters = typed.reduce((all, text) => collectParameter(text, all), new Map<string, string>());
  expect(parametersText(parameters)).toBe(
    '{"seed":18446744073709551615,"cfg":7.0,"hires":true,"vae":null,"sampler":"euler \\"a\\"","note":"a=b","steps":"007"}',
  );
  expect(() => collectParameter('seed')).toThrow('key=value');
});
