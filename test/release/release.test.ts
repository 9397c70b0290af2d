/** Releases, as far as they go without publishing: versions in step, workflows that name what there is, the container image. */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';

interface Step {
  uses?: string;
  run?: string;
}

interface Workflow {
  jobs: Record<string, { uses?: string; steps?: Step[] }>;
}

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFile(join(root, path), 'utf8');
const { version } = JSON.parse(await read('package.json'));

describe('check-versions', () => {
  const VERSIONED = [
    'package.json',
    'package-lock.json',
    'clients/python/pyproject.toml',
    'clients/python/src/image_storage/__init__.py',
    'clients/java/pom.xml',
    'clients/java/README.md',
    'clients/rust/Cargo.toml',
  ];
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'image-storage-release-'));
    for (const path of VERSIONED) await cp(join(root, path), join(folder, path));
  });
  afterEach(() => rm(folder, { recursive: true }));

  /** What it complains of; nothing when it passes. */
  const check = async (...tag: string[]): Promise<string> => {
    const checking = run(process.execPath, [join(root, 'scripts/check-versions.ts'), ...tag], { cwd: folder });
    const { code, stderr } = await checking.catch((error) => error);
    expect(stderr === '').toBe(code === undefined);
    return stderr;
  };

  it('finds them in step', async () => {
    expect(await check()).toBe('');
  });

  it.each(VERSIONED.slice(1))('names %s where it lags behind', async (path) => {
    await writeFile(join(folder, path), (await read(path)).replaceAll(version, '99.0.0'));
    expect(await check()).toBe(`${path} is 99.0.0, not ${version}\n`);
  });

  it('lets a tag pass that has its version and its heading in the changelog', async () => {
    const heading = (name: string) =>
      writeFile(join(folder, 'CHANGELOG.md'), `# Changelog\n\n## [${name}] - 2026-01-31\n`);
    await heading(version);
    expect(await check(`v${version}`)).toBe('');
    expect(await check('v99.0.0')).toBe(`the tag is v99.0.0, not v${version}\n`);
    await heading('99.0.0');
    expect(await check(`v${version}`)).toBe(`the newest release of CHANGELOG.md is 99.0.0, not ${version}\n`);
  });
});

describe.each(['ci', 'release'])('workflow %s', (name) => {
  it('uses actions by their full version, and what there is of ours', async () => {
    const workflow: Workflow = parse(await read(`.github/workflows/${name}.yml`));
    const jobs = Object.values(workflow.jobs);
    const steps = jobs.flatMap((job) => job.steps ?? []);
    for (const { uses } of [...jobs, ...steps]) {
      if (uses?.startsWith('./')) expect(existsSync(join(root, uses)), uses).toBe(true);
      else if (uses) expect(uses).toMatch(/^[\w-]+\/[\w-]+@v\d+\.\d+\.\d+$/);
    }
    const ours = steps.flatMap((step) => step.run?.match(/(?<=^| )(?:\.ci|clients|scripts)\/[\w./-]+/g) ?? []);
    expect(ours).not.toEqual([]);
    for (const path of ours) expect(existsSync(join(root, path)), path).toBe(true);
  });
});

describe('container image', () => {
  const engine = spawnSync('docker', ['info'], { stdio: 'ignore', timeout: 20_000 }).status === 0;

  // Its base comes from a container registry, and few machines have an engine: no failure in CI either.
  it('is built, and has the command (skipped where no docker engine answers, also in CI)', {
    timeout: 900_000,
  }, async ({ skip }) => {
    if (!engine) skip('no docker engine answers here: the image was not built');
    const { stdout: image } = await run('docker', ['build', '--quiet', root]);
    const { stdout } = await run('docker', ['run', '--rm', image.trim(), '--version']);
    expect(stdout).toBe(`${version}\n`);
  });
});

describe('until a version is published', () => {
  const UNPUBLISHED = [
    /\b(npx|npm exec)( -\S+)*( \S+ -p)* image-storage\b(?!-\*)/,
    /\bnpm (install|i|add)( -\S+)* image-storage\b(?!-)/,
    /\b(pip|pipx|uv|uvx)( install| add| run)? "?image-storage\b/,
    /\bgo (get|install) github\.com\/imagestorage/,
    /\bcargo (add|install)( --git \S+)? image-storage\b(?! --path)|git = "https:\/\/github\.com\/imagestorage/,
  ];

  it('no page tells anyone to run what a stranger may have published under the name', async () => {
    const { stdout } = await run('git', ['ls-files', 'README.md', 'docs', 'clients', 'examples'], { cwd: root });
    const pages = stdout.split('\n').filter((path) => /\.(md|ya?ml|toml|service)$/.test(path));
    expect(pages.length).toBeGreaterThan(30);
    const told: string[] = [];
    for (const page of pages) {
      const lines = (await read(page)).split('\n').filter((line) => UNPUBLISHED.some((pattern) => pattern.test(line)));
      told.push(...lines.map((line) => `${page}: ${line}`));
    }
    expect(told).toEqual([]);
  });
});
