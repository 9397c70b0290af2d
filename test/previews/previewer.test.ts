/** The order in which previews are made, once each, and for whom none is made any more. */
import { describe, expect, it } from 'vitest';
import type { PreviewCache } from '../../src/previews/cache.ts';
import { DecodeError, InterruptedError, NoDecoderError, SlowDecodeError } from '../../src/previews/decoder-process.ts';
import type { Decoded, DecodeOrder } from '../../src/previews/messages.ts';
import { Previewer } from '../../src/previews/previewer.ts';
import type { PreviewSource } from '../../src/storage/domain/preview.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };
const nobody = new AbortController().signal;

/** A decoder that decodes what it is told to, when it is told to. */
class ScriptedDecoder {
  isAble = true;
  /** The images that it was given, in their order. */
  readonly began: string[] = [];
  readonly #ends = new Map<string, { resolve(decoded: Decoded): void; reject(error: Error): void }>();

  decode({ sha256, widths, wantsHash }: DecodeOrder): Promise<Decoded> {
    this.began.push(sha256);
    const { promise, ...end } = Promise.withResolvers<Decoded>();
    const bytes = Buffer.from(sha256);
    const decoded = { previews: widths.map((width) => ({ width, bytes })), ...(wantsHash && { thumbHash: bytes }) };
    this.#ends.set(sha256, { ...end, resolve: () => end.resolve(decoded) });
    return promise;
  }

  stop(): void {}

  done(sha256: string): void {
    this.#ends.get(sha256)!.resolve({ previews: [] });
  }

  fails(sha256: string, error: Error): void {
    this.#ends.get(sha256)!.reject(error);
  }
}

function scene() {
  const decoder = new ScriptedDecoder();
  const kept = new Map<string, Buffer>();
  const gone = new Set<string>();
  const hashes: [string, boolean][] = [];
  const cache = {
    find: async (sha256: string, width: number) => kept.get(`${sha256} ${width}`),
    keep: async (sha256: string, width: number, bytes: Buffer) => void kept.set(`${sha256} ${width}`, bytes),
    remove: async (sha256: string) => {
      for (const name of kept.keys()) if (name.startsWith(sha256)) kept.delete(name);
    },
  };
  const meter = { served() {}, decoded() {}, failed() {}, decoderStarted() {}, watch() {} };
  const previewer = new Previewer({
    decoder,
    log,
    meter,
    cacheOf: () => cache as unknown as PreviewCache,
    read: async () => (async function* () {})(),
    exists: async ({ sha256 }) => !gone.has(sha256),
    onHash: ({ filename }, hash) => hashes.push([filename, hash !== undefined]),
    atOnce: 2,
  });
  return { decoder, previewer, kept, gone, hashes };
}

/** As large that it is decoded alone. */
const heavy = (sha256: string): PreviewSource => ({
  ...{ filename: sha256, provider: 'local', sha256, size: 1000, contentType: 'image/png' },
  ...{ width: 4000, height: 4000 },
});
const began = (decoder: ScriptedDecoder, count: number) =>
  expect.poll(() => decoder.began.length, { interval: 1 }).toBeGreaterThanOrEqual(count);

describe('requests', () => {
  it('are served the newest first', async () => {
    const { decoder, previewer } = scene();
    const asked = ['a', 'b', 'c'].map((name) => previewer.make(heavy(name), 320, nobody));
    for (const [at, name] of ['a', 'c', 'b'].entries()) {
      await began(decoder, at + 1);
      decoder.done(name);
    }
    expect((await Promise.all(asked)).map(String)).toEqual(['a', 'b', 'c']);
    expect(decoder.began).toEqual(['a', 'c', 'b']);
  });

  it('for one preview that come together are served by one', async () => {
    const { decoder, previewer, kept } = scene();
    const asked = [1, 2, 3].map(() => previewer.make(heavy('a'), 320, nobody));
    await began(decoder, 1);
    asked.push(previewer.make(heavy('a'), 320, nobody));
    decoder.done('a');
    expect((await Promise.all(asked)).map(String)).toEqual(['a', 'a', 'a', 'a']);
    expect([decoder.began, [...kept.keys()]]).toEqual([['a'], ['a 320']]);
  });

  it('whose client has gone are not decoded', async () => {
    const { decoder, previewer } = scene();
    const clients = Array.from({ length: 500 }, () => new AbortController());
    const first = previewer.make(heavy('first'), 320, nobody);
    const asked = clients.map(({ signal }, id) => previewer.make(heavy(`${id}`), 320, signal));
    const last = previewer.make(heavy('0'), 320, nobody);
    for (const client of clients) client.abort();
    expect(new Set(await Promise.all(asked.slice(1)))).toEqual(new Set([undefined]));
    decoder.done('first');
    await began(decoder, 2);
    decoder.done('0');
    expect([await first, await last].map(String)).toEqual(['first', '0']);
    expect(decoder.began).toEqual(['first', '0']);
  });

  it('of light images go on side by side, of which one that ends the process is tried alone', async () => {
    const { decoder, previewer, hashes } = scene();
    const light = (sha256: string) => ({ ...heavy(sha256), width: 100, height: 100 });
    const asked = ['a', 'b'].map((name) => previewer.make(light(name), 320, nobody));
    await began(decoder, 2);
    for (const name of ['a', 'b']) decoder.fails(name, new InterruptedError('the decoder ended'));
    for (const count of [3, 4]) {
      await began(decoder, count);
      expect(decoder.began).toHaveLength(count);
      const name = decoder.began.at(-1)!;
      if (name === 'a') decoder.fails(name, new DecodeError('the decoder ended'));
      else decoder.done(name);
    }
    expect((await Promise.all(asked)).map(String)).toEqual(['undefined', 'b']);
    expect(hashes.sort()).toEqual([
      ['a', false],
      ['b', true],
    ]);
  });
});

describe('an image that cannot be decoded', () => {
  it('is tried once, and has no ThumbHash', async () => {
    const { decoder, previewer, hashes } = scene();
    const asked = previewer.make(heavy('a'), 320, nobody);
    await began(decoder, 1);
    decoder.fails('a', new DecodeError('is no image'));
    expect(await asked).toBeUndefined();
    expect(await previewer.make(heavy('a'), 640, nobody)).toBeUndefined();
    expect([decoder.began, hashes]).toEqual([['a'], [['a', false]]]);
  });

  it('in time is not tried again soon, and may have a ThumbHash later', async () => {
    const { decoder, previewer, hashes } = scene();
    const asked = previewer.make(heavy('a'), 320, nobody);
    await began(decoder, 1);
    decoder.fails('a', new SlowDecodeError('took longer than 10 s'));
    expect(await asked).toBeUndefined();
    expect(await previewer.make(heavy('a'), 640, nobody)).toBeUndefined();
    expect([decoder.began, hashes]).toEqual([['a'], []]);
  });

  it('is told as by itself where it cannot be read', async () => {
    const { decoder, previewer } = scene();
    const asked = previewer.make(heavy('a'), 320, nobody);
    await began(decoder, 1);
    decoder.fails('a', new Error('BYTES_MISSING'));
    await expect(asked).rejects.toThrow('BYTES_MISSING');
  });

  it('leaves no trace where nothing can be decoded', async () => {
    const { decoder, previewer, hashes } = scene();
    const asked = previewer.make(heavy('a'), 320, nobody);
    await began(decoder, 1);
    decoder.fails('a', new NoDecoderError('no sharp'));
    expect(await asked).toBeUndefined();
    expect(hashes).toEqual([]);
  });
});

describe('behind saves', () => {
  const wish = (name: string) => ({ source: heavy(name), widths: [320] as const, wantsHash: true });

  it('previews and ThumbHashes are made together, one at a time, once nobody saves, and after all that is asked for', async () => {
    const { decoder, previewer, hashes, kept } = scene();
    previewer.saveBegan();
    const made = ['a', 'b'].map((name) => previewer.makeBehind(wish(name)));
    const asked = previewer.make(heavy('c'), 640, nobody);
    await began(decoder, 1);
    decoder.done('c');
    await asked;
    expect(decoder.began).toEqual(['c']);
    previewer.saveEnded();
    await began(decoder, 2);
    expect(decoder.began).toEqual(['c', 'a']);
    decoder.done('a');
    await began(decoder, 3);
    decoder.done('b');
    await Promise.all(made);
    expect([...kept.keys()]).toEqual(['c 640', 'a 320', 'b 320']);
    expect(hashes).toEqual([
      ['c', true],
      ['a', true],
      ['b', true],
    ]);
  });

  it('images with the same bytes have the ThumbHash that is made once', async () => {
    const { decoder, previewer, hashes } = scene();
    previewer.saveBegan();
    const twin = { ...wish('a'), source: { ...heavy('a'), filename: 'twin' } };
    for (const each of [wish('a'), twin, twin]) void previewer.makeBehind(each);
    previewer.saveEnded();
    await began(decoder, 1);
    void previewer.makeBehind({ ...twin, source: { ...twin.source, filename: 'late twin' } });
    decoder.done('a');
    await expect.poll(() => hashes.map(([name]) => name)).toEqual(['a', 'twin', 'late twin']);
    expect(decoder.began).toEqual(['a']);
  });

  it('one that is asked for, too, is made although whoever asked leaves', async () => {
    const { decoder, previewer, hashes } = scene();
    const busy = previewer.make(heavy('busy'), 320, nobody);
    const viewer = new AbortController();
    const asked = previewer.make(heavy('a'), 320, viewer.signal);
    void previewer.makeBehind({ ...wish('a'), source: { ...heavy('a'), filename: 'twin' } });
    viewer.abort();
    await began(decoder, 1);
    decoder.done('busy');
    await busy;
    await began(decoder, 2);
    decoder.done('a');
    await asked;
    expect(hashes.map(([name]) => name)).toEqual(['busy', 'a', 'twin']);
  });

  it('one that is asked for meanwhile is made next, and not twice', async () => {
    const { decoder, previewer } = scene();
    previewer.saveBegan();
    const behind = previewer.makeBehind(wish('a'));
    const asked = previewer.make(heavy('a'), 320, nobody);
    await began(decoder, 1);
    decoder.done('a');
    expect([String(await asked), await behind]).toEqual(['a', undefined]);
    expect(decoder.began).toEqual(['a']);
  });

  it('one whose image was purged meanwhile is not kept', async () => {
    const { decoder, previewer, gone, kept } = scene();
    const made = previewer.makeBehind(wish('a'));
    await began(decoder, 1);
    gone.add('a');
    decoder.done('a');
    await made;
    expect([...kept.keys()]).toEqual([]);
  });
});

it('answers whoever waits when the daemon stops', async () => {
  const { previewer } = scene();
  const asked = ['a', 'b'].map((name) => previewer.make(heavy(name), 320, nobody));
  previewer.close();
  expect(await asked[1]).toBeUndefined();
});
