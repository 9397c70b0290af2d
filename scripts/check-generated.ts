/** Fails when committed generated files are stale; works in a temporary folder and leaves the tree as it is. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SCHEMA = 'image-storage.schema.json';
const EXAMPLE = 'image-storage.yaml';

const fresh = mkdtempSync(join(tmpdir(), 'image-storage-gen-'));
try {
  run('buf', ['generate', '--output', fresh]);
  run('diff', ['--recursive', 'gen', join(fresh, 'gen')]);
  run(process.execPath, ['scripts/config-schema.ts'], join(fresh, SCHEMA));
  run('diff', [join('examples', SCHEMA), join(fresh, SCHEMA)]);
  run(process.execPath, ['scripts/config-example.ts'], join(fresh, EXAMPLE));
  run('diff', [join('examples', EXAMPLE), join(fresh, EXAMPLE)]);
} finally {
  rmSync(fresh, { recursive: true });
}
if (process.exitCode) console.error('generated files are stale: run `npm run generate` and commit the result');

/** Does nothing once a command has failed. */
function run(command: string, args: string[], outputFile?: string): void {
  if (process.exitCode) return;
  const stdout = outputFile === undefined ? 'inherit' : openSync(outputFile, 'w');
  const { status, error } = spawnSync(command, args, { stdio: ['inherit', stdout, 'inherit'] });
  if (typeof stdout === 'number') closeSync(stdout);
  if (error) throw error;
  process.exitCode = status ?? 1;
}
