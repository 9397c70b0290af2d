/** Runs the interop suite, and writes docs/interop.md where every client has passed every case that applies to it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { interopLanguages } from '../test/interop/languages.ts';
import { interopTable } from '../test/interop/table.ts';
import { allPass } from './run-tests.ts';

if (await allPass(['interop.test.ts'])) {
  writeFileSync(
    'docs/interop.md',
    interopTable(interopLanguages, JSON.parse(readFileSync('test/interop/cases.json', 'utf8'))),
  );
  console.log('wrote docs/interop.md');
} else {
  console.error('docs/interop.md stays as it is: it shows only what has passed');
  process.exitCode = 1;
}
