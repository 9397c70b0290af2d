/** Callers that go on one by one leave the event loop to others between them. */
import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { OneByOne } from '../../src/storage/async/one-by-one.ts';

it('serves one caller a turn of the event loop, in their order', async () => {
  const turns = new OneByOne();
  const log: string[] = [];
  const callers = ['a', 'b', 'c'].map(async (name) => {
    for (let page = 1; page <= 2; page += 1) {
      await turns.next(false);
      log.push(`${name}${page}`);
    }
  });
  const others = (async () => {
    for (let turn = 0; turn < 6; turn += 1) {
      await setImmediate();
      log.push('.');
    }
  })();
  await Promise.all([...callers, others]);
  expect(log.filter((entry) => entry !== '.')).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'c2']);
  expect(log.join(' ')).not.toMatch(/\w\d \w\d/);
});

it('lets fresh callers in after one other', async () => {
  const turns = new OneByOne();
  const log: string[] = [];
  const wait = async (name: string, isFresh: boolean) => {
    await turns.next(isFresh);
    log.push(name);
  };
  await Promise.all([wait('a', false), wait('b', false), wait('c', false), wait('x', true), wait('y', true)]);
  expect(log).toEqual(['x', 'a', 'y', 'b', 'c']);
});
