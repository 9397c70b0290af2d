/**
 * `check-part.ts clients | page | fleet`: runs the part's own suites, and records a run in which everything passed in its
 * CHECKED. With `--unchanged` runs nothing, and exits with 0 where the record matches the tree.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fingerprintOf, PARTS, type PartName } from './checked-parts.ts';
import type { allPass } from './run-tests.ts';

/** What `allPass` takes. */
const SUITES: Record<PartName, Parameters<typeof allPass>> = {
  clients: [[], { config: 'vitest.clients.config.ts' }],
  page: [['test/gallery/']],
  fleet: [[], { project: ['fleet'] }],
};

const name = process.argv[2] as PartName;
const { record } = PARTS[name];
const command = `npm run check:${name}`;
const fingerprint = fingerprintOf(name, '.');

if (process.argv.includes('--unchanged')) {
  const unchanged = existsSync(record) && readFileSync(record, 'utf8').includes(`sha256 ${fingerprint}\n`);
  const how = unchanged ? 'is unchanged' : 'has changed';
  console.log(`what \`${command}\` checks ${how} since it last passed (${record})`);
  process.exitCode = unchanged ? 0 : 1;
} else {
  // Only here: it loads vitest.
  const tests = await import('./run-tests.ts');
  const passed = await tests.allPass(...SUITES[name]);
  if (!passed) console.log(`${record} stays as it is: not everything passed`);
  else if (fingerprintOf(name, '.') !== fingerprint) console.log(`${record} stays as it is: files changed meanwhile`);
  else
    writeFileSync(
      record,
      `Written by \`${command}\` when everything passed, nothing skipped.\nsha256 ${fingerprint}\n`,
    );
}
