/** Fails when `gen/` is not what the contract generates; works in a temporary folder, the tree stays as it is. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const fresh = mkdtempSync(join(tmpdir(), 'image-storage-gen-'));
try {
  run('buf', 'generate', '--output', fresh);
  run('diff', '--recursive', 'gen', join(fresh, 'gen'));
} finally {
  rmSync(fresh, { recursive: true });
}
if (process.exitCode) console.error('gen/ is stale: run `npm run generate` and commit the result');

function run(command: string, ...args: string[]): void {
  if (process.exitCode) return;
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (error) throw error;
  process.exitCode = status ?? 1;
}
