/** Purges of all that is in the trash end, also where something in it cannot go. */
import { expect, it } from 'vitest';
import { purgeTrash } from '../../src/storage/retention/purge.ts';

it('says that there are more only while something went', async () => {
  const left = [{ filename: 'stuck.png', size: 1, purgeTime: 1 }];
  const catalog = { dueTrash: async () => left };
  const purge = async () => ({ done: false, why: 'not_found' }) as const;
  expect(await purgeTrash(async () => catalog, { all: true }, purge)).toEqual({ count: 0, bytes: 0, more: false });
});
