/** How long reads share a thread, and how its checkpoints get between their slices. */
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Gate } from '../../src/storage/catalog/sqlite/gate.ts';
import { Turns } from '../../src/storage/catalog/sqlite/turns.ts';

describe('calls that pause', () => {
  function* slices(name: string, count: number, log: string[]): Generator<void, string> {
    for (let at = 1; at <= count; at += 1) {
      log.push(`${name}${at}`);
      if (at < count) yield;
    }
    return name;
  }

  it('each get a slice in their turn', async () => {
    const log: string[] = [];
    const turns = new Turns((slice) => slice());
    const results = ['a', 'b', 'c'].map((name) => turns.finish(slices(name, 3, log)));
    expect(await Promise.all(results)).toEqual(['a', 'b', 'c']);
    for (const round of [log.slice(0, 6), log.slice(3)]) {
      for (const name of ['a', 'b', 'c']) expect(round.some((slice) => slice.startsWith(name))).toBe(true);
    }
  });

  it('let a new one in after one slice, and are not held up by many new ones', async () => {
    const log: string[] = [];
    const turns = new Turns((slice) => slice());
    const long = ['a', 'b'].map((name) => turns.finish(slices(name, 50, log)));
    while (log.length < 20) await setImmediate();
    const begun = log.length;
    const short = Array.from({ length: 20 }, () => turns.finish(slices('s', 1, log)));
    await Promise.all(short);
    expect(log.slice(begun, begun + 2)).toContain('s1');
    // Each of the new ones left a slice to those before.
    expect(log.slice(begun).filter((slice) => slice !== 's1').length).toBeGreaterThanOrEqual(18);
    await Promise.all(long);
  });

  it('run one slice a turn of the event loop', async () => {
    const log: string[] = [];
    const turns = new Turns((slice) => slice());
    const long = ['a', 'b', 'c', 'd'].map((name) => turns.finish(slices(name, 5, log)));
    const before = log.length;
    await setImmediate();
    expect(log.length - before).toBeLessThanOrEqual(1);
    await Promise.all(long);
  });

  it('fail alone', async () => {
    function* failing(): Generator<void, string> {
      yield;
      throw new Error('damaged');
    }
    const turns = new Turns((slice) => slice());
    const [failed, sound] = [turns.finish(failing()), turns.finish(slices('a', 3, []))];
    await expect(failed).rejects.toThrow('damaged');
    expect(await sound).toBe('a');
  });
});

describe('a checkpoint', () => {
  const gates = () => {
    const reader = new Gate();
    return { reader, writer: new Gate(reader.memory) };
  };

  it('begins at once while nothing is read', () => {
    let done = 0;
    gates().writer.withoutReads(() => {
      done += 1;
    });
    expect(done).toBe(1);
  });

  it('does not wait during a slice, and comes before the next', async () => {
    const { reader, writer } = gates();
    const log: string[] = [];
    reader.read(() => {
      writer.withoutReads(() => log.push('checkpoint'));
      // Another commit asks for the same.
      writer.withoutReads(() => log.push('checkpoint'));
      log.push('slice');
    });
    while (log.length < 2) await setImmediate();
    reader.read(() => log.push('slice'));
    expect(log).toEqual(['slice', 'checkpoint', 'slice']);
  });

  it('that does not begin holds no read up for long', async () => {
    const { reader, writer } = gates();
    const log: string[] = [];
    reader.read(() => writer.withoutReads(() => log.push('checkpoint')));
    // The thread of the writer, which is this one, is busy.
    reader.read(() => log.push('slice'));
    expect(log).toEqual(['slice']);
    while (log.length < 2) await setImmediate();
  });

  it('that fails lets reads go on', () => {
    const { reader, writer } = gates();
    const failing = () => {
      throw new Error('full');
    };
    expect(() => writer.withoutReads(failing)).toThrow('full');
    expect(reader.read(() => 'read')).toBe('read');
  });
});
