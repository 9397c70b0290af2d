/** Addresses, tokens of a query, sizes: what of the page is arithmetic. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { quoted, replaceToken, tokenAt, withoutUnfinished } from '../../web/src/app/search-token.ts';
import { metricsOf } from '../../web/src/grid/metrics.ts';
import { ScrollSpace } from '../../web/src/grid/scroll-space.ts';
import { fieldText, indented } from '../../web/src/panel/json-text.ts';
import { EMPTY_VIEW, filtersOf, formatView, parseView, type View } from '../../web/src/state/url.ts';

describe('a view', () => {
  it('is restored by its address', () => {
    const day = fc.constantFrom('', '2026-01-31');
    const views: fc.Arbitrary<Partial<View>> = fc.record({
      query: fc.string({ unit: 'grapheme' }),
      provider: fc.constantFrom('', '*', 'archive'),
      model: fc.string(),
      category: fc.string(),
      tags: fc.array(fc.string({ minLength: 1 })),
      pinned: fc.constantFrom(undefined, true, false),
      since: day,
      until: day,
      order: fc.constantFrom('newest', 'oldest'),
      density: fc.constantFrom(undefined, 'small', 'list'),
      image: fc.constantFrom('', '20260101_000000_flux_abc123.png'),
    });
    fc.assert(
      fc.property(views, (some) => {
        const view = { ...EMPTY_VIEW, ...some };
        view.imageProvider = view.image === '' ? '' : view.provider;
        const { pathname, search } = new URL(formatView(view), 'http://localhost/art/');
        const read = parseView(pathname.slice('/art/'.length), search);
        expect({ ...read, imageProvider: read.imageProvider || view.imageProvider }).toEqual(view);
      }),
    );
  });

  it('of one image has a path of its own', () => {
    const view = { ...EMPTY_VIEW, image: 'a b.png', imageProvider: 'archive', isAlone: true };
    expect(formatView(view)).toBe('i/a%20b.png?provider=archive');
    expect(parseView('i/a%20b.png', '?provider=archive')).toEqual(view);
  });

  it('drops what is no value', () => {
    expect(parseView('', '?order=up&density=huge&since=yesterday&pinned=maybe')).toEqual(EMPTY_VIEW);
  });

  it('filters whole days, and only what lies within other bounds, too', () => {
    const view = { ...EMPTY_VIEW, since: '2026-01-01', until: '2026-01-31' };
    const bounds = { start: Date.UTC(2026, 0, 10), end: Date.UTC(2026, 5, 1) };
    expect(filtersOf(view, bounds)).toEqual([
      ['dateRange.start', '2026-01-10T00:00:00.000Z'],
      ['dateRange.end', '2026-02-01T00:00:00.000Z'],
    ]);
  });
});

describe('a row of cells', () => {
  it.each([
    ['small', 1440, 11],
    ['medium', 1440, 7],
    ['large', 1440, 5],
    ['medium', 390, 3],
    ['list', 1440, 1],
  ] as const)('%s fills %i px with %i', (density, widthPx, columns) => {
    const metrics = metricsOf(density, widthPx);
    expect(metrics.columns).toBe(columns);
    expect(metrics.cellPx * columns + metrics.gapPx * (columns - 1)).toBeCloseTo(widthPx);
  });
});

describe('the scrolled space', () => {
  const spaceOf = (contentPx: number) => {
    const space = new ScrollSpace();
    space.contentPx = contentPx;
    space.viewportPx = 1000;
    return space;
  };
  const barEnd = (space: ScrollSpace) => space.elementPx - space.viewportPx;

  it('is the content itself as long as browsers can', () => {
    const space = spaceOf(9_000_000);
    space.scrolledTo(4_321_000);
    expect([space.elementPx, space.topPx, space.shiftPx]).toEqual([9_000_000, 4_321_000, 0]);
  });

  it('reaches both ends, and each place, of a million rows', () => {
    const space = spaceOf(56_000_000);
    expect(space.elementPx).toBeLessThanOrEqual(10_000_000);
    space.scrolledTo(barEnd(space));
    expect(space.topPx).toBe(56_000_000 - 1000);
    space.scrolledTo(0);
    expect(space.topPx).toBe(0);
    const barPx = space.moveTo(30_000_000);
    expect(space.topPx).toBeCloseTo(30_000_000);
    // The browser answers with the place that it was given.
    space.scrolledTo(barPx);
    expect(space.topPx).toBeCloseTo(30_000_000);
  });

  it('moves by as much as the wheel does', () => {
    const space = spaceOf(56_000_000);
    const barPx = space.moveTo(30_000_000);
    space.scrolledTo(barPx + 120);
    expect(space.topPx).toBeCloseTo(30_000_120);
    space.scrolledTo(barPx + 20);
    expect(space.topPx).toBeCloseTo(30_000_020);
  });
});

describe('what is typed', () => {
  it.each([
    ['fox model:fl', 'model', 'fl', 'fox'],
    ['fox model:"stable dif', 'model', 'stable dif', 'fox'],
    ['tag:', 'tag', '', ''],
    ['red fo', undefined, 'fo', 'red'],
    ['lora:ink fox', undefined, 'fox', 'lora:ink'],
  ])('%s is completed at its end', (text, field, beginning, rest) => {
    const token = tokenAt(text, text.length)!;
    expect([token.field, token.beginning]).toEqual([field, beginning]);
    expect(replaceToken(text, token, '')).toBe(rest);
  });

  it.each(['', 'fox ', '-fox', '"a red', 'seed:42', '(masterpiece:1.2)'])('%s is completed to nothing', (text) => {
    expect(tokenAt(text, text.length)).toBeUndefined();
  });

  it('is completed where the caret is', () => {
    const text = 'fo lora:in snow';
    expect(replaceToken(text, tokenAt(text, 10)!, `lora:${quoted('ink wash')}`)).toBe('fo lora:"ink wash" snow');
  });

  it('is not searched for before it has a value', () => {
    const typed = ['fox model:', 'fox model:"f', 'model:', 'fox tag:kee', 'fox category:"still l'];
    expect(typed.map(withoutUnfinished)).toEqual(['fox', 'fox', '', 'fox', 'fox']);
    const whole = ['fox', 'model:fl', 'tag:"my cat"', 'a:b'];
    expect(whole.map(withoutUnfinished)).toEqual(whole);
  });
});

describe('JSON as text', () => {
  it('has a line for each value, and every value as it was written', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), (json) => {
        expect(JSON.parse(indented(json))).toEqual(JSON.parse(json));
      }),
    );
    expect(indented('{"seed":18446744073709551615,"a":[1,{}],"b":" {,"}')).toBe(
      '{\n  "seed": 18446744073709551615,\n  "a": [\n    1,\n    {}\n  ],\n  "b": " {,"\n}',
    );
  });

  it('gives each of its fields', () => {
    const values = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { minKeys: 1, noNullPrototype: true });
    fc.assert(
      fc.property(values, fc.nat(2), (object, space) => {
        const json = JSON.stringify(object, undefined, space);
        for (const [name, value] of Object.entries(object)) {
          expect(JSON.parse(fieldText(json, name)!)).toEqual(JSON.parse(JSON.stringify(value)));
        }
      }),
    );
    expect(fieldText('{"a":{"workflow":1},"b":"workflow","c":["workflow"]}', 'workflow')).toBeUndefined();
    expect(fieldText('', 'workflow')).toBeUndefined();
  });
});
