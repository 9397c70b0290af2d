/** The parts whose own checks run when they changed, and a hash of everything that each depends on. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Part {
  /** The file that records the fingerprint for which its checks passed last. */
  record: string;
  /** Of git. */
  inputs: string[];
  /** Packages whose versions count, too. */
  packages?: string[];
}

export const PARTS = {
  clients: {
    record: 'clients/CHECKED',
    inputs: [
      'clients',
      'proto',
      'examples',
      'docs/clients.md',
      'test/clients',
      'test/interop/go',
      'vitest.clients.config.ts',
    ],
    packages: ['@bufbuild/buf'],
  },
  page: {
    record: 'web/CHECKED',
    inputs: [
      'web',
      'proto',
      'src/auth',
      'src/http',
      'src/previews',
      'test/gallery',
      'test/support',
      'vitest.config.ts',
    ],
    packages: [
      '@bufbuild/protobuf',
      'thumbhash',
      'preact',
      '@preact/signals',
      'lucide',
      'vite',
      'sharp',
      'playwright-core',
      'axe-core',
    ],
  },
  fleet: {
    record: 'test/bucket/CHECKED',
    inputs: ['proto', 'src/storage', 'test/bucket', 'test/providers', 'test/support', 'vitest.config.ts'],
    packages: ['@aws-sdk/client-s3', '@aws-sdk/s3-request-presigner', 'pg'],
  },
} satisfies Record<string, Part>;

export type PartName = keyof typeof PARTS;

/** Returns a hash of the part's files that git tracks or would track, as they are in the work tree, and of its packages. */
export function fingerprintOf(name: PartName, root: string): string {
  const part: Part = PARTS[name];
  const hash = createHash('sha256');
  for (const path of inputFiles(part, root)) {
    hash.update(
      `${path}\0${createHash('sha256')
        .update(readFileSync(join(root, path)))
        .digest('hex')}\n`,
    );
  }
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const versions = new Map(Object.entries<string>({ ...dependencies, ...devDependencies }));
  for (const each of part.packages ?? []) hash.update(`${each} ${versions.get(each)}\n`);
  return hash.digest('hex');
}

function inputFiles({ record, inputs }: Part, root: string): string[] {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate', '--', ...inputs];
  const listed = execFileSync('git', [...args, `:!${record}`], { cwd: root, encoding: 'utf8' });
  // git lists tracked files that were deleted, too.
  const present = listed.split('\0').filter((path) => path !== '' && existsSync(join(root, path)));
  return present.sort();
}
