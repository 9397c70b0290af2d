/** Where settings come from, which one wins, and how mistakes are told. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { PROVIDER_SETTINGS, SETTINGS } from '../../src/config/schema.ts';
import { ConfigError, type ConfigSources, loadConfig } from '../../src/config.ts';
import type { StorageConfig } from '../../src/storage/domain/config.ts';
import { COMMAND } from '../support/command.ts';

const cwd = mkdtempSync(join(tmpdir(), 'image-storage-config-'));
afterAll(() => rmSync(cwd, { recursive: true }));

let files = 0;
function fileWith(text: string): string {
  files += 1;
  const file = `${files}.yaml`;
  writeFileSync(join(cwd, file), text);
  return file;
}

const load = (sources: ConfigSources) => loadConfig({ cwd, ...sources });
const loadYaml = (text: string, sources: ConfigSources = {}) => load({ configFile: fileWith(text), ...sources });

function problemsOf(run: () => unknown): readonly string[] {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('where settings come from', () => {
  it('stores in ./outputs and listens on this machine only when nothing is configured', () => {
    const config = load({});
    expect(config).toMatchObject({
      defaultProvider: 'local',
      providers: { local: { type: 'local', basePath: join(cwd, 'outputs') } },
      listen: ['127.0.0.1:50051'],
      socketMode: '0600',
      insecure: false,
      limits: { maxImageBytes: 256 * 1024 * 1024, maxSaves: 64, firstMessageSeconds: 10, saveQueueMs: 10_000 },
    });
    // What the daemon hands on to the library.
    expect<StorageConfig>(config).toBeDefined();
  });

  it('prefers flags to variables, variables to the file, the file to defaults', () => {
    const yaml = 'publicUrl: https://file.example\nlog: { level: error, format: json }\nlimits: { maxSaves: 7 }';
    const env = { IMAGE_STORAGE_PUBLIC_URL: 'https://variable.example', IMAGE_STORAGE_LOG_LEVEL: 'warn' };
    const config = loadYaml(yaml, { env, flags: { logLevel: 'debug' } });
    expect(config.log).toEqual({ level: 'debug', format: 'json', access: true });
    expect(config.publicUrl).toBe('https://variable.example');
    expect(config.limits).toMatchObject({ maxSaves: 7, maxStreams: 256 });
  });

  it('reads the file that IMAGE_STORAGE_CONFIG names, unless a flag names another', () => {
    const env = { IMAGE_STORAGE_CONFIG: fileWith('socketMode: "0660"') };
    expect(load({ env }).socketMode).toBe('0660');
    expect(loadYaml('socketMode: "0666"', { env }).socketMode).toBe('0666');
    expect(problemsOf(() => load({ configFile: 'gone.yaml' }))).toEqual(['gone.yaml: no such file or folder']);
  });

  it('reads every kind of value from text', () => {
    const env = {
      IMAGE_STORAGE_LISTEN: '127.0.0.1:0, [::1]:0,unix:/run/image-storage.sock',
      IMAGE_STORAGE_INSECURE: '1',
      IMAGE_STORAGE_SHUTDOWN_GRACE_SECONDS: '2.5',
      IMAGE_STORAGE_LIMITS_MAX_SAVES: '128',
      IMAGE_STORAGE_LIMITS_MAX_IMAGE_BYTES: '1GiB',
      IMAGE_STORAGE_PROVIDERS_ARCHIVE_TYPE: 'local',
      IMAGE_STORAGE_PROVIDERS_ARCHIVE_BASE_PATH: '/srv/archive',
      IMAGE_STORAGE_PUBLIC_URL: '',
    };
    expect(load({ env })).toMatchObject({
      listen: ['127.0.0.1:0', '[::1]:0', 'unix:/run/image-storage.sock'],
      insecure: true,
      shutdownGraceSeconds: 2.5,
      limits: { maxSaves: 128, maxImageBytes: 2 ** 30 },
      defaultProvider: 'archive',
      providers: { archive: { type: 'local', basePath: '/srv/archive' } },
      publicUrl: '',
    });
  });

  it.each([
    ['8MB', 8_000_000],
    ['1.5 MiB', 1_572_864],
    ['64kib', 65_536],
    ['512B', 512],
    ['4096', 4096],
  ])('takes %s for %i bytes', (size, bytes) => {
    expect(load({ env: { IMAGE_STORAGE_LIMITS_MAX_CHUNK_BYTES: size } }).limits.maxChunkBytes).toBe(bytes);
  });

  it('takes a bucket from variables, its secret from a file', () => {
    const secret = fileWith('s3cr3t\n');
    const prefix = 'IMAGE_STORAGE_PROVIDERS_S3_';
    const env = {
      [`${prefix}BUCKET`]: 'images',
      [`${prefix}REGION`]: 'auto',
      [`${prefix}ENDPOINT`]: 'http://127.0.0.1:7070',
      [`${prefix}ACCESS_KEY`]: 'id',
      [`${prefix}SECRET_KEY_FILE`]: secret,
      [`${prefix}URLS_MODE`]: 'presigned',
    };
    const { providers, defaultProvider } = load({ env });
    expect(defaultProvider).toBe('s3');
    expect(providers.s3).toMatchObject({ bucket: 'images', secretKey: 's3cr3t', urls: { mode: 'presigned' } });
    const problems = problemsOf(() => load({ env: { ...env, [`${prefix}BUCKET`]: '', [`${prefix}SHARED`]: 'maybe' } }));
    expect(problems).toHaveLength(2);
    expect(problems.join()).not.toContain('s3cr3t');
  });

  it.each([
    [{ bucket: 's3://images' }, 'bucket', 'must be the name alone'],
    [{ accessKey: 'id' }, 'secretKey', 'must be set, too, where accessKey is'],
    [{ secretKey: 's3cr3t' }, 'accessKey', 'must be set, too, where secretKey is'],
    [{ endpoint: 'ACCOUNT.r2.example.com' }, 'endpoint', 'must be a URL such as https://s3.example.com'],
    [{ endpoint: 'https://r2.example.com/images' }, 'endpoint', 'must be without the bucket: leave out /images'],
    [{ endpoint: 'https://id:s3cr3t@r2.example.com' }, 'endpoint', 'without credentials'],
    [{ cdnUrl: 'https://cdn.example.com?sig=s3cr3t' }, 'cdnUrl', 'must be a host such as images.example.com'],
    [{ urls: { mode: 'private' } }, 'urls.mode', '"public"|"presigned"'],
    [{ urls: { expiresSeconds: 700_000 } }, 'urls.expiresSeconds', 'must be seconds, 1 to 604800'],
    [{ urls: { endpoint: 'cdn' } }, 'urls.endpoint', 'must be a URL'],
    [{ syncSeconds: 0 }, 'syncSeconds', 'must be seconds, 1 to 604800'],
    [{ fullSyncMinutes: 20_000 }, 'fullSyncMinutes', 'must be minutes, 0.01 to 10080'],
    [{ syncSeconds: 90, fullSyncMinutes: 1 }, 'fullSyncMinutes', 'must not be shorter than syncSeconds (90)'],
    [{ region: 'eu central' }, 'region', 'must be a name such as eu-central-1'],
    [{ accessKey: 'id\n', secretKey: 's3cr3t' }, 'accessKey', 'must not contain control characters'],
    [{ accessKey: 'id', secretKey: 's3cr3t\ns3cr3t' }, 'secretKey', 'must not contain control characters'],
    [{ accessKey: 'id', secretKey: '' }, 'secretKey', 'must not be empty'],
    [{ forcePathStyle: false, endpoint: 'http://10.0.0.7:9000' }, 'forcePathStyle', 'in front of an IP address'],
    [{ forcePathStyle: 'false', endpoint: 'http://[::1]:9000' }, 'forcePathStyle', 'in front of an IP address'],
    [{ forcePathStyle: false, urls: { endpoint: 'http://10.0.0.7' } }, 'forcePathStyle', 'must not be false with'],
    [{ pathStyle: true }, 'pathStyle', 'did you mean providers.s3.forcePathStyle?'],
  ])('refuses what no bucket can be opened with: %o', (wrong, key, problem) => {
    const s3 = { bucket: 'images', region: 'auto', ...wrong };
    const [told = '', ...others] = problemsOf(() => loadYaml(JSON.stringify({ providers: { s3 } })));
    expect(told).toMatch(new RegExp(`^providers\\.s3\\.${key} \\(.*\\): `));
    expect(told).toContain(problem);
    expect([told, ...others].join()).not.toContain('s3cr3t');
    expect(others).toEqual([]);
  });

  it.each([
    ['outputs', 'archive: { type: local, basePath: outputs/../outputs }', 'archive.basePath', 'the folder of local'],
    [
      'outputs/images/generations/x',
      'archive: { type: local, basePath: PATH }',
      'archive.basePath',
      'local has to itself',
    ],
    [
      'outputs/metadata/generations',
      's3: { bucket: b, region: r, stateDir: PATH }',
      's3.stateDir',
      'local has to itself',
    ],
  ])('refuses a folder that another provider has: %s', (path, other, key, problem) => {
    const configFile = fileWith(`providers:\n  local:\n  ${other.replace('PATH', path)}`);
    const [told = '', ...others] = problemsOf(() => load({ configFile }));
    expect(told).toContain(`providers.${key} (${configFile}:3): ${join(cwd, path)} `);
    expect(told).toContain(problem);
    expect(others).toEqual([]);
  });

  it('takes a folder beside the images and records of another provider', () => {
    const nested = 'archive: { type: local, basePath: outputs/archive }, s3: { bucket: b, region: r }';
    expect(Object.keys(loadYaml(`providers: { local: , ${nested} }`).providers)).toHaveLength(3);
  });

  it('reads a value from the file that a _FILE variable names', () => {
    const name = 'IMAGE_STORAGE_PROVIDERS_LOCAL_BASE_PATH';
    const path = fileWith('/srv/images\n');
    expect(load({ env: { [`${name}_FILE`]: path } }).providers.local).toMatchObject({ basePath: '/srv/images' });
    expect(problemsOf(() => load({ env: { [`${name}_FILE`]: path, [name]: '/srv' } }))).toEqual([
      `${name} and ${name}_FILE are both set: keep one`,
    ]);
    expect(problemsOf(() => load({ env: { [`${name}_FILE`]: 'gone' } }))).toEqual([
      `${name}_FILE: its file: no such file or folder`,
    ]);
  });

  it('ignores what Kubernetes sets for Services, what is meant for clients, and other programs', () => {
    const env = {
      IMAGE_STORAGE_SERVICE_HOST: '10.0.0.1',
      IMAGE_STORAGE_SERVICE_PORT: '50051',
      IMAGE_STORAGE_SERVICE_PORT_GRPC: '50051',
      IMAGE_STORAGE_PORT: 'tcp://10.0.0.1:50051',
      IMAGE_STORAGE_PORT_50051_TCP: 'tcp://10.0.0.1:50051',
      IMAGE_STORAGE_PORT_50051_TCP_ADDR: '10.0.0.1',
      IMAGE_STORAGE_GALLERY_SERVICE_HOST: '10.0.0.2',
      IMAGE_STORAGE_GALLERY_PORT_80_TCP_PROTO: 'tcp',
      IMAGE_STORAGE_ADDRESS: '10.0.0.1:50051',
      IMAGE_RESIZER_LEVEL: '9',
    };
    expect(load({ env })).toEqual(load({}));
  });
});

describe('providers', () => {
  it('takes local for the default, else the only one, else asks', () => {
    const archive = 'archive: { type: local, basePath: a }';
    expect(loadYaml(`providers: { local: , ${archive} }`).defaultProvider).toBe('local');
    expect(loadYaml(`providers: { ${archive} }`).defaultProvider).toBe('archive');
    const two = `{ ${archive}, other: { type: local, basePath: b } }`;
    expect(problemsOf(() => loadYaml(`providers: ${two}`))).toEqual([
      'defaultProvider: must name one of the providers',
    ]);
    expect(loadYaml(`{ defaultProvider: other, providers: ${two} }`).defaultProvider).toBe('other');
  });

  it('knows project as another name of local, but not for a provider', () => {
    const config = loadYaml('{ defaultProvider: project, providers: { local: { type: project } } }');
    expect(config).toMatchObject({ defaultProvider: 'local', providers: { local: { type: 'local' } } });
    expect(problemsOf(() => loadYaml('providers: { project: { basePath: a } }')).join()).toMatch(
      /providers\.project.*\(\d+\.yaml:1\): project is another name of local/,
    );
  });
});

describe('mistakes', () => {
  it('are told all at once, each with its key, where it came from and what was meant', () => {
    const yaml = [
      'listn: 127.0.0.1:50051',
      'maxSaves: 3',
      'log: loud',
      'socketMode: 0600',
      'limits: { maxChunkBytes: many }',
      'providers: { My-Disk: { basePath: a }, tape: {}, local: { basePth: b } }',
    ].join('\n');
    const configFile = fileWith(yaml);
    const env = {
      IMAGE_STORAGE_LIMITS_MAXSAVES: '4',
      IMAGE_STORAGE_INSECURE: 'maybe',
      IMAGE_STORAGE_LIMITS_SAVE_SECONDS: '-1',
      IMAGE_STORAGE_DEFAULT_PROVIDER: 'attic',
    };
    const flags = { logFormat: 'xml', publicUrl: 'images.example.com', listen: ['somewhere'] };
    const problems = problemsOf(() => load({ configFile, env, flags }));
    const expected: [start: string, end: string][] = [
      [`listn (${configFile}:1): unknown`, 'did you mean listen?'],
      [`maxSaves (${configFile}:2): unknown`, 'did you mean limits.maxSaves?'],
      [`log (${configFile}:3): `, 'must be a mapping of the keys below it'],
      [`providers.My-Disk.basePath (${configFile}:6): `, 'lower-case letters and digits'],
      [`providers.local.basePth (${configFile}:6): unknown`, 'did you mean providers.local.basePath?'],
      ['IMAGE_STORAGE_LIMITS_MAXSAVES: unknown variable', 'did you mean IMAGE_STORAGE_LIMITS_MAX_SAVES?'],
      [`providers.tape.type (${configFile}:6): `, 'must be local or s3'],
      ['listen (--listen): ', '"somewhere" is no address: host:port, [v6]:port or unix:PATH'],
      [`socketMode (${configFile}:4): `, 'must be quoted, such as "0660"'],
      ['publicUrl (--public-url): ', 'must be a URL such as https://images.example.com'],
      ['insecure (IMAGE_STORAGE_INSECURE): ', 'must be true or false'],
      [`limits.maxChunkBytes (${configFile}:5): `, 'a size such as 256MiB or 8MB, at most 1GiB'],
      ['limits.saveSeconds (IMAGE_STORAGE_LIMITS_SAVE_SECONDS): ', 'must be seconds, 0.01 to 604800'],
      ['log.format (--log-format): ', '"auto"|"json"|"pretty"'],
      ['defaultProvider (IMAGE_STORAGE_DEFAULT_PROVIDER): ', 'no provider is named "attic"; configured: tape'],
    ];
    expect(problems).toHaveLength(expected.length);
    problems.forEach((problem, i) => {
      expect(problem.startsWith(expected[i]![0]), problem).toBe(true);
      expect(problem.endsWith(expected[i]![1]), problem).toBe(true);
    });
  });

  it.each([
    ['providers: { local: { basePath: "a\\0b" } }', 'providers.local.basePath', 'must not contain control characters'],
    ['providers: { local: { basePath: ~/images } }', 'providers.local.basePath', 'only a shell knows what ~ means'],
    ['listen: 127.0.0.1:65536', 'listen', 'with a port of at most 65535'],
    [`listen: unix:/${'x'.repeat(107)}`, 'listen', 'must have at most 107 bytes'],
    ['listen: "unix:/run/a\\0b"', 'listen', 'must not contain control characters'],
    ['listen: [127.0.0.1:1, unix:a, 127.0.0.1:1]', 'listen', 'must not name an address twice'],
    ['limits: { maxChunkBytes: 2GiB }', 'limits.maxChunkBytes', 'at most 1GiB'],
    ['limits: { maxMetadataBytes: 4MiB }', 'limits.maxMetadataBytes', 'at most 3MiB'],
    ['lisen:', 'lisen', 'unknown; did you mean listen?'],
    ['limts: {}', 'limts', 'unknown'],
    ['limits.maxSaves: 5', 'limits.maxSaves', 'must be nested, one key a level'],
  ])('in single values are told by the check, not by the start: %s', (yaml, key, problem) => {
    const configFile = fileWith(yaml);
    const problems = problemsOf(() => load({ configFile }));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`${key} (${configFile}:1): `);
    expect(problems[0]).toContain(problem);
  });

  it('are told of a file in another encoding, whatever it is', () => {
    for (const encoding of ['utf16le', 'latin1'] as const) {
      const configFile = `${encoding}.yaml`;
      writeFileSync(join(cwd, configFile), Buffer.from('\ufeffproviders: { local: { basePath: Müll } }', encoding));
      expect(problemsOf(() => load({ configFile })).join()).toBe(`${configFile}: is no text in UTF-8`);
    }
    expect(loadYaml('\ufeffsocketMode: "0660"\r\n').socketMode).toBe('0660');
  });

  it('name the variable of what is missing where the provider comes from variables', () => {
    const problems = problemsOf(() => load({ env: { IMAGE_STORAGE_PROVIDERS_S3_BUCKET: 'images' } }));
    expect(problems).toEqual(['providers.s3.region (IMAGE_STORAGE_PROVIDERS_S3_REGION): must be set']);
  });

  it.each([
    ['a broken line', 'publicUrl: https://a.example\nkey: "hunter2\nlisten: x'],
    ['an alias without its anchor', 'key: *hunter2'],
    ['two documents', 'key: hunter2\n---\nkey: hunter2'],
    ['no mapping', '- hunter2'],
    ['a secret that became part of its key', 'providers: { s3: { bucket: b, region: r, secretKey:hunter2 } }'],
    ['a secret that became part of its key', 'providers: { s3: { secretKey=hunter2: } }'],
    ['a secret that became a key below its own', 'providers: { s3: { secretKey: {hunter2} } }'],
    ['a secret that became a key below its own', 'providers:\n  s3:\n    secretKey:\n      hunter2:'],
    ['a secret that became part of its key', 'providers: { s3: { secretKey.hunter2: } }'],
    ['a secret under a wrong key', 'providers: { local: { secretKey: hunter2 } }'],
  ])('in the file never quote it: %s', (_what, yaml) => {
    const problems = problemsOf(() => loadYaml(yaml));
    expect(problems).not.toEqual([]);
    expect(problems.join()).not.toContain('hunter2');
  });

  it.each(['0.0.0.0:50051', '[::]:50051', '192.168.1.5:0', 'images.example.com:50051'])(
    'an address that others can reach is refused unless somebody insists: %s',
    (address) => {
      const listen = ['unix:/run/image-storage.sock', address];
      const [problem = '', ...others] = problemsOf(() => load({ flags: { listen } }));
      expect(others).toEqual([]);
      expect(problem).toContain(`listen (--listen): ${address} can be reached from other machines`);
      expect(problem).toContain('insecure: true (--insecure, IMAGE_STORAGE_INSECURE=true)');
      expect(problem).toContain('auth.tokensFile (IMAGE_STORAGE_AUTH_TOKENS_FILE=PATH; image-storage token new');
      expect(load({ flags: { listen, insecure: true } }).listen).toEqual(listen);
    },
  );
});

it('explains every setting, and ends with its default', () => {
  const known = [SETTINGS, ...Object.values(PROVIDER_SETTINGS)].flatMap((settings) => [...settings]);
  expect(known.length).toBeGreaterThan(30);
  expect(known.filter(([, { description = '' }]) => !/Default: .+\.$/.test(description))).toEqual([]);
});

describe('the command', () => {
  const run = (args: string[], env: Record<string, string> = {}) =>
    spawnSync(process.execPath, [COMMAND, ...args], { cwd, encoding: 'utf8', env: { PATH: process.env.PATH, ...env } });

  it('exits with 64 for what it cannot understand', () => {
    const wrong = run(['serve', '--bad']);
    expect(wrong.stderr).toContain("image-storage: unknown option '--bad'");
    expect(wrong.status).toBe(64);
    expect(run(['nonsense']).status).toBe(64);
    expect(run([]).status).toBe(64);
  });

  it('exits with 78 for a wrong configuration, in one message without a stack', () => {
    const { status, stdout, stderr } = run(['serve', '--log-level', 'loud'], { IMAGE_STORAGE_LISTN: '127.0.0.1:0' });
    expect(status).toBe(78);
    expect(stdout).toBe('');
    expect(stderr).toContain('log.level (--log-level): ');
    expect(stderr).toContain('IMAGE_STORAGE_LISTN: unknown variable; did you mean IMAGE_STORAGE_LISTEN?');
    expect(stderr).not.toContain('    at ');
  });

  it('shows its help and version, and exits with 0', () => {
    expect(run(['--version'])).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
    expect(run(['serve', '--help'])).toMatchObject({ status: 0, stdout: expect.stringContaining('--base-path') });
  });
});
