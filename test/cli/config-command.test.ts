/** `image-storage config`: what it shows and what it never shows; and that the example, its schema and the command agree. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv, addFormats } from '@modelcontextprotocol/client/validators/ajv';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { PROVIDER_SETTINGS, SETTINGS } from '../../src/config/schema.ts';
import { COMMAND } from '../support/command.ts';

const EXAMPLE = fileURLToPath(new URL('../../examples/image-storage.yaml', import.meta.url));
const SCHEMA = new URL('../../examples/image-storage.schema.json', import.meta.url);

const cwd = mkdtempSync(join(tmpdir(), 'image-storage-config-'));
afterAll(() => rmSync(cwd, { recursive: true }));

function config(args: string[], env: Record<string, string> = {}) {
  return spawnSync(process.execPath, [COMMAND, 'config', ...args], {
    cwd,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, ...env },
  });
}

function print(args: string[], env: Record<string, string>): string {
  const { status, stdout, stderr } = config(['print', ...args], env);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

function fileOf(name: string, text: string): string {
  const path = join(cwd, name);
  writeFileSync(path, text);
  return path;
}

const FILE = fileOf(
  'daemon.yaml',
  `publicUrl: https://images.example.com
limits: { maxSaves: 7 }
providers:
  local:
  s3:
    bucket: acme-images
    region: auto
    endpoint: https://acme.r2.example.com
    prefix: acme
    accessKey: acme-key-id
    required: false
`,
);
const SECRET = fileOf('secret', 'xylophone-secret\n');
const ENV = { IMAGE_STORAGE_PROVIDERS_S3_SECRET_KEY_FILE: SECRET, IMAGE_STORAGE_SOCKET_MODE: '0660' };
const ARGS = ['--config', FILE, '--log-level', 'debug', '--listen', 'unix:/run/acme.sock'];

describe('config print', () => {
  it('shows each value with its origin, and no secret', () => {
    const lines = print(ARGS, ENV)
      .split('\n')
      .map((line) => line.trim());
    for (const line of [
      'defaultProvider: local # default',
      'listen: [ unix:/run/acme.sock ] # --listen',
      'socketMode: "0660" # IMAGE_STORAGE_SOCKET_MODE',
      `publicUrl: https://images.example.com # ${FILE}:1`,
      `maxSaves: 7 # ${FILE}:2`,
      'maxStreams: 256 # default',
      'level: debug # --log-level',
      `basePath: ${join(cwd, 'outputs')} # default`,
      `bucket: acme-images # ${FILE}:6`,
      `# accessKey: (hidden), from ${FILE}:10`,
      '# secretKey: (hidden), from IMAGE_STORAGE_PROVIDERS_S3_SECRET_KEY_FILE',
      '# mode: (not set) public with a cdnUrl, else presigned',
    ]) {
      expect(lines).toContain(line);
    }
    expect(lines.join('\n')).not.toMatch(/xylophone|acme-key-id/);
  });

  it('is itself a file that says the same, as long as secrets come from where they came from', () => {
    const printed = print(ARGS, ENV);
    const file = fileOf('printed.yaml', printed);
    const env = { ...ENV, IMAGE_STORAGE_PROVIDERS_S3_ACCESS_KEY: 'acme-key-id' };
    const withoutOrigins = (text: string) => text.replace(/( #|, from) .*$/gm, '');
    expect(withoutOrigins(print(['--config', file], env))).toBe(withoutOrigins(printed));
  });

  it('hides with --redact whatever could tell whose it is', () => {
    const printed = print([...ARGS, '--redact'], ENV);
    expect(printed).not.toMatch(/acme|example\.com|xylophone|\/run|auto\b.*yaml/);
    expect(printed).not.toContain(cwd);
    expect(printed).toContain('# bucket: (hidden), from file:6');
    expect(printed).toContain('required: false # file:11');
    expect(parse(printed)).toMatchObject({ limits: { maxSaves: 7 }, log: { level: 'debug' } });
  });

  it('gives programs one setting a line', () => {
    const lines = print([...ARGS, '--json'], ENV)
      .trim()
      .split('\n');
    const settings = lines.map((line) => JSON.parse(line) as { path: string });
    const at = (path: string) => settings.find((setting) => setting.path === path);
    expect(settings).toHaveLength(SETTINGS.size + PROVIDER_SETTINGS.local!.size + PROVIDER_SETTINGS.s3!.size);
    expect(at('limits.maxSaves')).toEqual({ path: 'limits.maxSaves', value: 7, origin: `${FILE}:2` });
    expect(at('providers.s3.shared')).toEqual({ path: 'providers.s3.shared', value: false, origin: 'default' });
    expect(at('providers.s3.secretKey')).toEqual({
      path: 'providers.s3.secretKey',
      hidden: true,
      origin: 'IMAGE_STORAGE_PROVIDERS_S3_SECRET_KEY_FILE',
    });
    expect(lines.join()).not.toMatch(/xylophone|acme-key-id/);
  });
});

describe('config check', () => {
  it('says ok and what it read', () => {
    const { status, stdout, stderr } = config(['check', ...ARGS], ENV);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^ok: 13 settings read, the others have their defaults\n/);
    expect(stdout).toContain(`\nlimits.maxSaves (${FILE}:2)\n`);
    expect(stdout).not.toMatch(/xylophone|acme-key-id/);
  });

  it('names every bad key in one message and exits with 78, as serve does', () => {
    const bad = fileOf('bad.yaml', 'lisen: here\nproviders: { s3: { bucket: images, secretKey: xylophone-secret } }');
    const wrong = config(['check', '--config', bad], { IMAGE_STORAGE_LIMITS_MAX_SAVES: 'many' });
    expect(wrong).toMatchObject({ status: 78, stdout: '' });
    expect(wrong.stderr).toContain(`lisen (${bad}:1): unknown; did you mean listen?`);
    expect(wrong.stderr).toContain(`providers.s3.region (${bad}:2): must be set`);
    expect(wrong.stderr).toContain('limits.maxSaves (IMAGE_STORAGE_LIMITS_MAX_SAVES): must be a whole number');
    expect(wrong.stderr).not.toContain('xylophone');
    expect(config([]).status).toBe(64);
  });
});

describe('the example', () => {
  const text = readFileSync(EXAMPLE, 'utf8');
  /** With what it shows as a comment set, too. */
  const whole = text.replace(/^( *)#(?=[A-Za-z-])/gm, '$1');
  const ajv = new Ajv({ strict: true, allErrors: true });
  addFormats(ajv);
  const validate = ajv.compile(JSON.parse(readFileSync(SCHEMA, 'utf8')));

  const accepted = (yaml: string) => ({
    bySchema: validate(parse(yaml)),
    byCommand: config(['check', '--config', fileOf('example.yaml', yaml)]).status === 0,
  });

  it('names its schema, and both it and the command accept it', () => {
    expect(text).toMatch(/^# yaml-language-server: \$schema=image-storage\.schema\.json\n/);
    for (const yaml of [text, whole]) expect(accepted(yaml)).toEqual({ bySchema: true, byCommand: true });
  });

  it('shows every setting, and as it is when nothing is set', () => {
    const shown = (yaml: string, args: string[] = []) =>
      print(['--json', '--config', fileOf('example.yaml', yaml), ...args], {})
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { path: string; value: unknown; origin: string });
    expect(shown(whole).filter(({ origin }) => origin === 'default')).toEqual([]);
    const values = (settings: { path: string; value: unknown }[]) => settings.map(({ path, value }) => [path, value]);
    expect(values(shown(text))).toEqual(values(shown('')));
  });

  it.each([
    ['a typo', 'maxSaves:', 'maxSafes:'],
    ['a typo in a provider', 'basePath:', 'basePth:'],
    ['a typo in a bucket', 'region:', 'regoin:'],
    ['a word that is none of the few', 'level: info', 'level: loud'],
    ['a size that is none', 'maxImageBytes: 256MiB', 'maxImageBytes: 256 elephants'],
    ['a number out of bounds', 'chunkGapSeconds: 30', 'chunkGapSeconds: -30'],
    ['a mode that is a number', '"0600"', '0600'],
  ])('is refused by both with %s', (_, right, wrong) => {
    expect(whole).toContain(right);
    expect(accepted(whole.replace(right, wrong))).toEqual({ bySchema: false, byCommand: false });
  });
});
