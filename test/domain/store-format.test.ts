/** What FORMAT may say, and what a store answers to anything else. */
import { expect, it } from 'vitest';
import { formatOf, newStoreFormat, storeFormatIn, storeIdIn } from '../../src/storage/domain/store-format.ts';

const WORDS = { store: 'the store in a bucket', damaged: 'FORMAT is damaged' };

it('holds the id of the store', () => {
  const { storeId, text } = newStoreFormat();
  expect(storeIdIn(text, WORDS)).toBe(storeId);
  expect(JSON.parse(text)).toEqual({ format: 'image-storage', version: 1, storeId });
});

it.each(['', '{', 'null', '{"version":1}', '{"storeId":"x"}', '{"version":"1","storeId":"x"}'])(
  'is damaged when it says %j',
  (text) => {
    expect(() => storeIdIn(text, WORDS)).toThrow(
      expect.objectContaining({ name: 'StoreOpenError', kind: 'config', message: 'FORMAT is damaged' }),
    );
  },
);

it('asks for a newer program where the layout is newer', () => {
  const message = 'the store in a bucket has layout 2, this program knows 1; use a newer one';
  expect(() => storeIdIn('{"version":2,"storeId":"x"}', WORDS)).toThrow(
    expect.objectContaining({ kind: 'config', message }),
  );
});

it('names what a program must know of the store', () => {
  expect(storeFormatIn(formatOf('x'), WORDS)).toEqual({ storeId: 'x', needs: [] });
  const text = formatOf('x', ['trash']);
  expect(JSON.parse(text)).toMatchObject({ version: 2, needs: ['trash'] });
  expect(storeFormatIn(text, WORDS)).toEqual({ storeId: 'x', needs: ['trash'] });
  expect(() => storeIdIn(text, WORDS)).toThrow('has layout 2, this program knows 1');
});

it('is refused by a program that does not know what it needs', () => {
  const message = 'the store in a bucket needs attic, which this program does not know; use a newer one';
  const text = '{"version":2,"storeId":"x","needs":["trash","attic"]}';
  expect(() => storeFormatIn(text, WORDS)).toThrow(expect.objectContaining({ kind: 'config', message }));
  for (const newer of ['{"version":2,"storeId":"x"}', '{"version":3,"storeId":"x","needs":["trash"]}']) {
    expect(() => storeFormatIn(newer, WORDS)).toThrow('use a newer one');
  }
});
