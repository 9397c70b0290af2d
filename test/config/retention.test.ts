/** Retention policies in the configuration: where they come from, and what is refused. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { POLICY_SETTINGS } from '../../src/config/schema.ts';
import { ConfigError, type ConfigSources, explainConfig, loadConfig } from '../../src/config.ts';
import { createStorage } from '../../src/storage/index.ts';

const cwd = mkdtempSync(join(tmpdir(), 'image-storage-config-'));
afterAll(() => rmSync(cwd, { recursive: true }));

const FILE = 'retention.yaml';

function sourcesOf(yaml: string, env: ConfigSources['env'] = {}): ConfigSources {
  writeFileSync(join(cwd, FILE), yaml);
  return { cwd, configFile: FILE, env };
}

function problemsOf(sources: ConfigSources): readonly string[] {
  try {
    loadConfig(sources);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

it('policies come from the file and from variables', () => {
  const yaml = 'retention:\n  drafts: { category: draft, keepWithin: 30d, keepLast: 1000 }';
  const env = {
    IMAGE_STORAGE_RETENTION_DRAFTS_KEEP_LAST: '500',
    IMAGE_STORAGE_RETENTION_PREVIEWS_KEEP_BYTES: '100GiB',
    IMAGE_STORAGE_RETENTION_PREVIEWS_GROUP_BY: 'model',
  };
  expect(loadConfig(sourcesOf(yaml, env)).retention).toEqual({
    drafts: { category: 'draft', keepWithin: '30d', keepLast: 500, every: '1h', delay: '1d' },
    previews: { keepBytes: 100 * 2 ** 30, groupBy: 'model', every: '1h', delay: '1d' },
  });
  const shown = explainConfig(sourcesOf(yaml, env));
  expect(shown.find(({ path }) => path === 'retention.drafts.keepLast')).toMatchObject({
    value: 500,
    origin: 'IMAGE_STORAGE_RETENTION_DRAFTS_KEEP_LAST',
  });
  expect(loadConfig(sourcesOf('')).retention).toEqual({});
});

it.each([
  ['drafts: { model: m }', 'retention.drafts.keepWithin', 'must be set, or keepLast, keepDaily or keepBytes'],
  ['drafts:', 'retention.drafts', 'keepWithin must be set, or keepLast, keepDaily or keepBytes'],
  ['drafts: { keepWithin: 30 }', 'retention.drafts.keepWithin', 'must be an age of at most 36500d, such as 90m'],
  ['drafts: { keepWithin: 0d }', 'retention.drafts.keepWithin', 'at least 1m'],
  ['drafts: { keepLast: 0 }', 'retention.drafts.keepLast', 'must be a whole number, 1 to 1000000'],
  ['drafts: { keepDaily: 1.5 }', 'retention.drafts.keepDaily', 'must be a whole number of days'],
  ['drafts: { keepLast: 1, groupBy: tag }', 'retention.drafts.groupBy', '"model"|"category"|"day"'],
  ['drafts: { keepLast: 1, every: 10s }', 'retention.drafts.every', 'must be an age'],
  ['drafts: { keepLast: 1, provider: attic }', 'retention.drafts.provider', 'named "attic"; configured: local'],
  ['drafts: { keepLst: 1 }', 'retention.drafts.keepLst', 'unknown; did you mean retention.drafts.keepLast?'],
  ['Drafts: { keepLast: 1 }', 'retention.Drafts.keepLast', 'a policy is named by lower-case letters and digits'],
])('refuses a policy that does not say what it keeps, or not so: %s', (yaml, key, problem) => {
  const [told = '', ...others] = problemsOf(sourcesOf(`retention:\n  ${yaml}`));
  expect(others).toEqual([]);
  expect(told).toContain(`${key} (${FILE}:2): `);
  expect(told).toContain(problem);
});

it('names the variable that would set a rule', () => {
  const problems = problemsOf(sourcesOf('', { IMAGE_STORAGE_RETENTION_DRAFTS_MODEL: 'm' }));
  expect(problems.join()).toMatch(
    /^retention\.drafts\.keepWithin \(IMAGE_STORAGE_RETENTION_DRAFTS_KEEP_WITHIN\): must be set/,
  );
  const misspelt = problemsOf(sourcesOf('', { IMAGE_STORAGE_RETENTION_DRAFTS_KEEPLAST: '1' }));
  expect(misspelt.join()).toContain('did you mean IMAGE_STORAGE_RETENTION_DRAFTS_KEEP_LAST?');
});

it('the library refuses the same', async () => {
  const storage = createStorage({ providers: { local: { basePath: cwd } }, retention: { drafts: { model: 'm' } } });
  await expect(storage).rejects.toMatchObject({
    kind: 'config',
    message: expect.stringMatching(/^retention\.drafts\.keep/),
  });
});

it('the example is one that loads, and explains every setting', () => {
  const text = readFileSync(new URL('../../examples/image-storage.yaml', import.meta.url), 'utf8');
  const block = text.slice(text.indexOf('#retention:'), text.indexOf('\nlog:'));
  const { retention } = loadConfig(sourcesOf(block.replaceAll(/^(\s*)#(?! )/gm, '$1')));
  expect(Object.keys(retention.drafts!).sort()).toEqual([...POLICY_SETTINGS.keys()].sort());
  const unexplained = [...POLICY_SETTINGS].filter(([, { description = '' }]) => !/Default: .+\.$/.test(description));
  expect(unexplained).toEqual([]);
});

it('eviction wants a limit at which it begins', () => {
  const problems = (settings: string) => problemsOf(sourcesOf(`providers: { local: { ${settings} } }`));
  expect(problems('onFull: evict')).toEqual([expect.stringContaining('without minFreeBytes or maxStoreBytes')]);
  expect(problems('onFull: evict, minFreeBytes: 1GiB')).toEqual([]);
  expect(problems('onFull: evict, maxStoreBytes: 1GiB')).toEqual([]);
});
