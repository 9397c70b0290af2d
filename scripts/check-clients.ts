/**
 * Checks the clients with their own tools and suites, and records a run in which everything passed in clients/CHECKED.
 * With `--unchanged` runs nothing, and exits with 0 where the record matches the tree.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { CHECKED, clientsFingerprint } from './clients-fingerprint.ts';

const fingerprint = clientsFingerprint('.');

if (process.argv.includes('--unchanged')) {
  const unchanged = existsSync(CHECKED) && readFileSync(CHECKED, 'utf8').includes(`sha256 ${fingerprint}\n`);
  const since = `since \`npm run check:clients\` last passed (${CHECKED})`;
  console.log(`clients, contract and examples ${unchanged ? 'are unchanged' : 'have changed'} ${since}`);
  process.exitCode = unchanged ? 0 : 1;
} else {
  const { allPass } = await import('./run-tests.ts');
  const passed = await allPass([], { config: 'vitest.clients.config.ts' });
  if (!passed) console.log(`${CHECKED} stays as it is: not everything passed`);
  else if (clientsFingerprint('.') !== fingerprint) console.log(`${CHECKED} stays as it is: files changed meanwhile`);
  else
    writeFileSync(
      CHECKED,
      `Written by \`npm run check:clients\` when everything passed, nothing skipped.\nsha256 ${fingerprint}\n`,
    );
}
