/** Hashes everything that the checks of the clients depend on. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The file that records the fingerprint for which the checks passed last. */
export const CHECKED = 'clients/CHECKED';

const INPUTS = [
  'clients',
  `:!${CHECKED}`,
  'proto',
  'examples',
  'docs/clients.md',
  'test/clients',
  'test/interop/go',
  'vitest.clients.config.ts',
];

/**
 * Returns a hash of the files that git tracks or would track, as they are in the work tree, and of the version of buf.
 */
export function clientsFingerprint(root: string): string {
  const hash = createHash('sha256');
  for (const path of inputFiles(root)) {
    hash.update(
      `${path}\0${createHash('sha256')
        .update(readFileSync(join(root, path)))
        .digest('hex')}\n`,
    );
  }
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return hash.update(`buf ${devDependencies['@bufbuild/buf']}\n`).digest('hex');
}

function inputFiles(root: string): string[] {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate', '--', ...INPUTS];
  const listed = execFileSync('git', args, { cwd: root, encoding: 'utf8' }).split('\0').filter(Boolean);
  // git lists tracked files that were deleted, too.
  return listed.filter((path) => existsSync(join(root, path))).sort();
}
