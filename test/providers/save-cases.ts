/** What a save and a get of every provider must do: names, bytes, refusals, idempotency keys. */
import { describe, expect, it } from 'vitest';
import type { StorageResult } from '../../src/storage/index.ts';
import { chunked, collect, sha256Of } from '../support/bytes.ts';
import { pngOf, sharedImages } from '../support/images.ts';
import { META, plain, T0, type TestedProvider } from './tested-provider.ts';

const A1111 =
  'a heron at dusk\nNegative prompt: fog\nSteps: 30, Sampler: Euler a, CFG scale: 6.5, Seed: 9223372036854775807, ' +
  'Size: 8x8, Model: inkwell_v3';

const images = sharedImages();

export function describeSaves(tested: TestedProvider): void {
  describe('save and get', () => {
    it.runIf(images.length > 0)('keeps every real image byte for byte under its dated, readable name', async () => {
      for (const { name, bytes } of images) {
        const saved = await tested.storage.save(bytes, {
          prompt: name,
          model: 'FLUX.1 [schnell]',
          timestamp: new Date(T0),
        });
        const extension = name.split('.').at(-1);
        expect(saved.filename).toMatch(new RegExp(`^20240927_141522_flux-1-schnell_[0-9a-z]{6}\\.${extension}$`));
        expect(saved.key).toBe(`outputs/images/generations/2024-09-27/flux-1-schnell/${saved.filename}`);
        expect(saved.url).toMatch(tested.urlOf(saved.key));
        expect(saved).toMatchObject({
          size: bytes.length,
          sha256: sha256Of(bytes),
          provider: 'main',
          replayed: false,
          deleted: false,
        });
        expect(saved.storageType).toBe(tested.storageType);
        const { item, body } = await tested.storage.get(saved.filename);
        expect(sha256Of(await collect(body))).toBe(saved.sha256);
        expect(plain(item)).toEqual(plain(saved));
      }
    });

    it('fills from the file what is left empty, names the image by the model, and says so', async () => {
      const bytes = pngOf({ width: 8, height: 8, seed: 7, text: { parameters: A1111 } });
      const saved = await tested.storage.save(chunked(bytes, 100), {
        prompt: '',
        model: '',
        timestamp: new Date(T0),
        category: 'cats',
      });
      expect(saved.filename).toMatch(/^20240927_141522_inkwell-v3_[0-9a-z]{6}\.png$/);
      expect(saved.key).toBe(`outputs/images/generations/2024-09-27/inkwell-v3/${saved.filename}`);
      expect(saved.metadata).toMatchObject({ prompt: 'a heron at dusk', model: 'inkwell_v3', category: 'cats' });
      expect(saved.generation).toMatchObject({ negativePrompt: 'fog', seed: '9223372036854775807', steps: 30 });
      const { item, body } = await tested.storage.get(saved.filename);
      expect(plain(item)).toEqual(plain(saved));
      expect((await collect(body)).equals(bytes)).toBe(true);
      expect(await tested.storage.list({ model: 'inkwell_v3', query: 'heron' })).toHaveLength(1);
    });

    it('keeps what is sent, and fills nothing where that is asked for', async () => {
      const bytes = pngOf({ width: 8, height: 8, seed: 8, text: { parameters: A1111 } });
      const sent = await tested.storage.save(bytes, { prompt: 'mine', model: 'm', parametersJson: '{"seed":1}' });
      expect(sent.metadata).toMatchObject({ prompt: 'mine', model: 'm', parametersJson: '{"seed":1}' });
      const ignored = await tested.storage.save(bytes, { prompt: '', model: '' }, { embedded: 'ignore' });
      expect(ignored.metadata).toMatchObject({ prompt: '', model: '', parametersJson: '' });
      expect(ignored.filename).toMatch(/_unknown_/);
      expect(ignored.generation).toBeUndefined();
    });

    it('takes a retry of a filled save for the same, and other metadata for another', async () => {
      const bytes = pngOf({ width: 8, height: 8, seed: 9, text: { parameters: A1111 } });
      const metadata = { prompt: '', model: '', timestamp: new Date(T0) };
      const options = { idempotencyKey: 'filled' };
      const first = await tested.storage.save(bytes, metadata, options);
      const again = await tested.storage.save(bytes, metadata, { ...options, embedded: 'ignore' });
      expect([first.replayed, again.replayed]).toEqual([false, true]);
      expect(plain(again)).toEqual(plain(first));
      expect(again.metadata.model).toBe('inkwell_v3');
      await expect(
        tested.storage.save(bytes, { ...metadata, prompt: 'a heron at dusk' }, options),
      ).rejects.toMatchObject({ reason: 'IDEMPOTENCY_KEY_REUSED' });
    });

    it('takes a stream in chunks of any size', async () => {
      const bytes = pngOf({ width: 64, height: 64, seed: 1 });
      for (const chunkBytes of [1, 1000, bytes.length]) {
        const saved = await tested.storage.save(chunked(bytes, chunkBytes), { prompt: '', model: 'm' });
        expect(saved).toMatchObject({ sha256: sha256Of(bytes), width: 64, height: 64, contentType: 'image/png' });
      }
    });

    it('takes a stream whose chunks are all in one buffer, as a file is read', async () => {
      const bytes = pngOf({ width: 64, height: 64, seed: 1 });
      const reused = Buffer.alloc(5);
      const inOneBuffer = async function* () {
        for (let at = 0; at < bytes.length; at += reused.length) {
          yield reused.subarray(0, bytes.copy(reused, 0, at));
          reused.fill(0);
        }
      };
      const { filename } = await tested.storage.save(inOneBuffer(), META);
      expect((await collect((await tested.storage.get(filename)).body)).equals(bytes)).toBe(true);
    });

    it('returns the metadata as it was sent, a 64-bit seed and odd model names included', async () => {
      const parametersJson = '{"seed": 18446744073709551615, "steps":4.0}';
      const sent = {
        prompt: 'ein Füchslein 🦊 "quoted"\n',
        category: 'Tiere',
        tags: ['b', 'a', 'b'],
        parametersJson,
      };
      for (const [model, slug] of ODD_MODELS) {
        const { filename, key } = await tested.storage.save(pngOf({ width: 8, height: 8 }), { ...sent, model });
        expect(key.split('/')[4]).toBe(slug);
        const { metadata } = (await tested.storage.get(filename)).item;
        expect(metadata).toMatchObject({ ...sent, model, tags: ['b', 'a'] });
        expect(metadata.parameters.seed).toBe(18446744073709551615n);
      }
    });

    it('accepts parameters as an object, big integers exact', async () => {
      const saved = await tested.saveAt(0, { parameters: { seed: 2n ** 64n - 1n, cfg: 3.5 } });
      expect(saved.metadata.parametersJson).toBe('{"seed":18446744073709551615,"cfg":3.5}');
    });

    it('reads ranges, the empty one at the end included', async () => {
      const bytes = pngOf({ width: 64, height: 64, seed: 2 });
      const { filename } = await tested.storage.save(bytes, { prompt: '', model: 'm' });
      const read = async (offset: number, limit?: number) =>
        collect((await tested.storage.get(filename, { offset, limit })).body);
      expect(await read(10, 20)).toEqual(bytes.subarray(10, 30));
      expect(await read(bytes.length - 5)).toEqual(bytes.subarray(-5));
      expect(await read(bytes.length - 5, 1000)).toEqual(bytes.subarray(-5));
      expect(await read(bytes.length)).toEqual(Buffer.alloc(0));
      await expect(tested.storage.get(filename, { offset: bytes.length + 1 })).rejects.toMatchObject({
        reason: 'OFFSET_OUT_OF_RANGE',
      });
    });

    it('gives the bytes in chunks that fit into a message, whatever their size was in the save', async () => {
      const bytes = pngOf({ width: 64, height: 64, sizeBytes: 1_000_000 });
      const { filename } = await tested.storage.save(bytes, META);
      for (const range of [{}, { offset: 1, limit: 700_000 }]) {
        const sizes: number[] = [];
        for await (const chunk of (await tested.storage.get(filename, range)).body) sizes.push(chunk.length);
        expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(range.limit ?? bytes.length);
        expect(Math.min(...sizes)).toBeGreaterThan(0);
        expect(Math.max(...sizes)).toBeLessThanOrEqual(256 * 1024);
      }
    });

    it('does not know a name that was never given', async () => {
      for (const name of ['', 'x.png', '../../etc/passwd', '20240927_141522_m_000000.png', '\0']) {
        await expect(tested.storage.get(name)).rejects.toMatchObject({ reason: 'IMAGE_NOT_FOUND' });
        expect(await tested.storage.delete(name)).toBe(false);
      }
    });

    it('never overwrites: a short id that is taken tries another', async () => {
      const shortIds = 'aaaaaa aaaaaa aaaaaa bbbbbb aaaaaa cccccc dddddd dddddd eeeeee'.split(' ');
      await tested.openAnew({ shortIds });
      const idOf = ({ filename }: StorageResult) => filename.slice(-10, -4);
      const first = await tested.saveAt(0);
      // Nothing is staged under that name any more: the next save meets the image itself.
      expect(await tested.leftovers()).toEqual([]);
      const second = await tested.saveAt(1, { timestamp: new Date(T0) });
      expect([first, second].map(idOf)).toEqual(['aaaaaa', 'bbbbbb']);
      for (const saved of [first, second]) {
        expect(sha256Of(await collect((await tested.storage.get(saved.filename)).body))).toBe(saved.sha256);
      }
      await tested.storage.delete(first.filename);
      expect(idOf(await tested.saveAt(0))).toBe('cccccc');
      // In a bucket each of the two may find the other's half-made image, and both then take another name.
      const both = await Promise.all([tested.saveAt(2), tested.saveAt(2)]);
      expect(new Set(both.map(idOf)).size).toBe(2);
      for (const saved of both) {
        expect(sha256Of(await collect((await tested.storage.get(saved.filename)).body))).toBe(saved.sha256);
      }
      expect(await tested.leftovers()).toEqual([]);
    });
  });

  describe('refusals leave nothing behind', () => {
    const png = pngOf({ width: 32, height: 32, seed: 3 });
    const refused: [string, string, () => Promise<unknown>][] = [
      ['no bytes', 'IMAGE_EMPTY', () => tested.storage.save(Buffer.alloc(0), META)],
      ['text', 'TYPE_NOT_ALLOWED', () => tested.storage.save(Buffer.from('hello, I am no image at all'), META)],
      [
        'SVG',
        'TYPE_NOT_ALLOWED',
        () => tested.storage.save(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), META),
      ],
      ['a cut image', 'IMAGE_TRUNCATED', () => tested.storage.save(png.subarray(0, -1), META)],
      ['another type', 'TYPE_MISMATCH', () => tested.storage.save(png, META, { contentType: 'image/jpeg' })],
      ['another size', 'SIZE_MISMATCH', () => tested.storage.save(png, META, { size: png.length + 1 })],
      ['another sha256', 'CHECKSUM_MISMATCH', () => tested.storage.save(png, META, { sha256: '0'.repeat(64) })],
      [
        'another sha256 at the end',
        'CHECKSUM_MISMATCH',
        () => tested.storage.save(png, META, { trailer: () => ({ sha256: '0'.repeat(64) }) }),
      ],
      ['more than there is room for', 'DISK_FULL', () => tested.storage.save(png, META, { size: 2 ** 52 })],
      ['a lone surrogate', 'FIELD_INVALID', () => tested.storage.save(png, { ...META, prompt: '\ud800' })],
      ['NUL', 'FIELD_INVALID', () => tested.storage.save(png, { ...META, model: 'a\0b' })],
      ['a prompt of 1 MB', 'FIELD_INVALID', () => tested.storage.save(png, { ...META, prompt: 'x'.repeat(1e6) })],
      [
        'parameters that are no object',
        'FIELD_INVALID',
        () => tested.storage.save(png, { ...META, parametersJson: '[1]' }),
      ],
      ['an empty tag', 'FIELD_INVALID', () => tested.storage.save(png, { ...META, tags: [''] })],
      ['the year 10000', 'FIELD_INVALID', () => tested.storage.save(png, { ...META, timestamp: new Date(8.64e15) })],
      [
        'a key of 257 bytes',
        'FIELD_INVALID',
        () => tested.storage.save(png, META, { idempotencyKey: 'k'.repeat(257) }),
      ],
      ['an unknown provider', 'PROVIDER_NOT_FOUND', () => tested.storage.save(png, META, { provider: 'nowhere' })],
      ['all providers', 'FIELD_INVALID', () => tested.storage.save(png, META, { provider: '*' })],
      [
        'a cancelled call',
        'CANCELLED',
        () => tested.storage.save(chunked(png, 100), META, { signal: AbortSignal.abort() }),
      ],
    ];
    it.each(refused)('%s: %s', async (_what, reason, save) => {
      const noUseToRetry = { retryAfterMs: undefined, outcomeUnknown: false };
      await expect(save()).rejects.toMatchObject({ name: 'StorageError', reason, ...noUseToRetry });
      expect(await tested.storage.list()).toEqual([]);
      expect(await tested.leftovers()).toEqual([]);
    });

    it('a source that fails in the middle keeps its own error', async () => {
      const broken = async function* () {
        yield png.subarray(0, 100);
        throw new RangeError('the generator crashed');
      };
      await expect(tested.storage.save(broken(), META)).rejects.toThrow('the generator crashed');
      expect(await tested.leftovers()).toEqual([]);
    });
  });

  describe('idempotency keys', () => {
    it('make one image of many attempts, before and after a delete and a restart', async () => {
      const attempts = await Promise.all(
        Array.from({ length: 20 }, () => tested.saveAt(1, {}, { idempotencyKey: 'k' })),
      );
      expect(new Set(attempts.map((attempt) => attempt.filename)).size).toBe(1);
      expect(attempts.filter((attempt) => !attempt.replayed)).toHaveLength(1);
      await tested.reopen();
      expect((await tested.saveAt(1, {}, { idempotencyKey: 'k' })).replayed).toBe(true);
      await tested.storage.delete(attempts[0]!.filename);
      expect((await tested.saveAt(1, {}, { idempotencyKey: 'k' })).replayed).toBe(true);
      expect(await tested.storage.list()).toEqual([]);
    });

    it('refuse other bytes and other metadata', async () => {
      await tested.saveAt(1, {}, { idempotencyKey: 'k' });
      const reused = { code: 'already_exists', reason: 'IDEMPOTENCY_KEY_REUSED' };
      await expect(tested.saveAt(2, { timestamp: new Date(T0 + 1000) }, { idempotencyKey: 'k' })).rejects.toMatchObject(
        reused,
      );
      await expect(tested.saveAt(1, { prompt: 'other' }, { idempotencyKey: 'k' })).rejects.toMatchObject(reused);
      expect(await tested.leftovers()).toEqual([]);
    });
  });
}

const ODD_MODELS: [model: string, slug: string][] = [
  ['black-forest-labs/FLUX.1 [dev]', 'black-forest-labs-flux-1-dev'],
  ['../../etc/passwd', 'etc-passwd'],
  ['CON', 'con-model'],
  ['🦊', 'unknown'],
  ['', 'unknown'],
  ['Crème Brûlée', 'creme-brulee'],
  ['m'.repeat(300), 'm'.repeat(64)],
];
