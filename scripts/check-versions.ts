/**
 * Fails unless all packages have one version, which a tag (`node scripts/check-versions.ts v1.2.3`) and the newest
 * release must have, too.
 */
import { readFileSync } from 'node:fs';

/** The files that name the version, with the pattern of each. The Go module has only its tag. */
const PLACES = {
  'package.json': /^ {2}"version": "(.+)",$/m,
  'package-lock.json': /^ {6}"version": "(.+)",$/m,
  'clients/python/pyproject.toml': /^version = "(.+)"$/m,
  'clients/python/src/image_storage/__init__.py': /^__version__ = "(.+)"$/m,
  'clients/java/pom.xml': /^ {2}<version>(.+)<\/version>$/m,
  'clients/java/README.md': /^ {2}<version>(.+)<\/version>$/m,
  'clients/rust/Cargo.toml': /^version = "(.+)"$/m,
};
const RELEASED = /^## \[(\d.*)\] - \d{4}-\d\d-\d\d$/m;

const version = versionIn('package.json', PLACES['package.json']);
for (const [file, pattern] of Object.entries(PLACES)) expect(file, versionIn(file, pattern), version);

const [, , tag] = process.argv;
if (tag !== undefined) {
  expect('the tag', tag, `v${version}`);
  expect('the newest release of CHANGELOG.md', versionIn('CHANGELOG.md', RELEASED), version);
}

function versionIn(file: string, pattern: RegExp): string {
  return readFileSync(file, 'utf8').match(pattern)?.[1] ?? 'missing';
}

function expect(what: string, found: string, wanted: string): void {
  if (found === wanted) return;
  console.error(`${what} is ${found}, not ${wanted}`);
  process.exitCode = 1;
}
