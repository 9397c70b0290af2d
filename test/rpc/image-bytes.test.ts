/** The images of a List as bytes are those that protobuf-es would write. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ListResponseSchema } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { imageFrom } from '../../src/rpc/convert.ts';
import { batchOf } from '../../src/rpc/list-batch.ts';
import type { Generation, StorageItem } from '../../src/storage/domain/image.ts';
import { full, seed } from '../support/scale.ts';

const LONGEST_DATE = 253_402_300_799_999;
const anyLength = fc.oneof(fc.nat(200), fc.constantFrom(42, 43, 127, 128, 5461, 5462, 16_383, 16_384, 70_000));
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.tuple(fc.constantFrom('a', 'ü', '猫', '🦊'), anyLength).map(([unit, length]) => unit.repeat(length)),
);
const anyDate = fc.integer({ min: 0, max: LONGEST_DATE }).map((ms) => new Date(ms));
const maybeDate = fc.option(anyDate, { nil: undefined }) as fc.Arbitrary<Date>;
const anyGeneration = fc.record(
  {
    negativePrompt: anyText,
    seed: fc.constantFrom('', '18446744073709551615'),
    steps: fc.constantFrom(0, 20, 2 ** 31),
    cfg: fc.double(),
    sampler: anyText,
    scheduler: anyText,
    loras: fc.array(anyText, { maxLength: 3 }),
    width: fc.nat(),
    height: fc.nat(),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<Generation>;
const anyItem: fc.Arbitrary<StorageItem> = fc.record({
  url: anyText,
  filename: anyText,
  path: fc.option(anyText, { nil: undefined }) as fc.Arbitrary<string>,
  key: anyText,
  size: fc.oneof(fc.nat(), fc.maxSafeNat()),
  storageType: fc.constantFrom('local', 's3'),
  provider: fc.constantFrom('main', 'archive'),
  metadata: fc.record({
    prompt: anyText,
    model: anyText,
    timestamp: anyDate,
    category: anyText,
    parametersJson: anyText,
    parameters: fc.constant({}),
    tags: fc.array(fc.string(), { maxLength: 3 }),
  }),
  sha256: fc.constantFrom('', 'ab'.repeat(32)),
  contentType: fc.constantFrom('', 'image/png'),
  width: fc.oneof(fc.nat(), fc.constantFrom(2 ** 31, 2 ** 32 - 1)),
  height: fc.nat(),
  createTime: anyDate,
  pinned: fc.boolean(),
  generation: fc.option(anyGeneration, { nil: undefined }) as fc.Arbitrary<Generation>,
  expireTime: maybeDate,
  deleteTime: maybeDate,
  purgeTime: maybeDate,
});

it('are the bytes that protobuf-es writes', () => {
  const headers = new Headers({ 'content-type': 'application/grpc' });
  fc.assert(
    fc.property(fc.array(anyItem, { maxLength: 5 }), anyText, (items, nextPageToken) => {
      const expected = toBinary(
        ListResponseSchema,
        create(ListResponseSchema, { images: items.map(imageFrom), nextPageToken }),
      );
      const bytes = toBinary(
        ListResponseSchema,
        create(ListResponseSchema, batchOf({ items, nextPageToken }, headers)),
      );
      expect(bytes.length).toBe(expected.length);
      expect(fromBinary(ListResponseSchema, bytes)).toEqual(fromBinary(ListResponseSchema, expected));
    }),
    { seed, numRuns: full ? 2000 : 100 },
  );
});

it('are written by field to callers of JSON', () => {
  const headers = new Headers({ 'content-type': 'application/connect+json' });
  expect(batchOf({ items: [], nextPageToken: 'next' }, headers)).toEqual({ images: [], nextPageToken: 'next' });
});
