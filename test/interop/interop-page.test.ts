/** docs/interop.md is the table of the cases and clients that interop.test.ts plays. */
import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { interopLanguages } from './languages.ts';
import { interopTable } from './table.ts';

it('docs/interop.md is what `npm run interop` writes', async () => {
  const cases = JSON.parse(await readFile(new URL('./cases.json', import.meta.url), 'utf8'));
  const page = await readFile(new URL('../../docs/interop.md', import.meta.url), 'utf8');
  expect(page).toBe(interopTable(interopLanguages, cases));
});
