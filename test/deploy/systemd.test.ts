/** The systemd example: systemd reads its units, the daemon its settings, and makes no system call that they refuse. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { EXIT } from '../../src/exit-codes.ts';
import { saveAt } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { works } from '../support/mounts.ts';
import { WITH_PREVIEWS } from '../support/previews.ts';
import { requires } from '../support/requires.ts';
import { serve } from '../support/serve-process.ts';

/** Of 10, the lowest is best; what is left is the network, Node's compiler and the file system of the host. */
const MAX_EXPOSURE = 2;
const example = (name: string) => readFileSync(`examples/systemd/${name}`, 'utf8');
const unit = example('image-storage.service');
const folder = mkdtempSync(join(tmpdir(), 'image-storage-systemd-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** All values of a key, comments left out. */
function valuesOf(key: string): string[] {
  return [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value]) => value!);
}

function analyze(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync('systemd-analyze', args, { encoding: 'utf8', env: { ...process.env, SYSTEMD_COLORS: '0' } });
}

/** The units, with programs that there are here. */
function writeUnits(): string[] {
  return ['image-storage.service', 'generator.service'].map((name) => {
    const path = join(folder, name);
    writeFileSync(path, example(name).replaceAll(/\/usr\/local\/bin\/[\w-]+/g, '/bin/sh'));
    return path;
  });
}

requires('systemd-analyze', works('systemd-analyze', '--version'))('systemd', () => {
  it('finds nothing to say of the units', () => {
    expect(analyze('verify', '--man=no', ...writeUnits())).toMatchObject({ status: 0, stderr: '' });
  });

  it('counts the daemon as little exposed', () => {
    const [path] = writeUnits() as [string];
    const { status, stdout } = analyze('security', '--offline=true', `--threshold=${MAX_EXPOSURE * 10}`, path);
    expect([status, /Overall exposure level .*: (\S+)/.exec(stdout)?.[1]]).toEqual([0, expect.any(String)]);
  });

  requires('strace', works('strace', '-V'))('with strace', () => {
    it('allows every system call of the daemon', async () => {
      const path = join(folder, 'trace');
      const through = ['strace', '-f', '-qq', '-e', 'signal=none', '-o', path];
      await using daemon = serve(folder, { through, env: WITH_PREVIEWS, flags: ['--log-level', 'silent'] });
      await daemon.answers();
      const { url } = await saveAt(daemon.address, pngOf({ width: 400, height: 300, sizeBytes: 3_000_000 }));
      const preview = spawnSync('curl', [
        '-s',
        '--unix-socket',
        daemon.address.slice('unix:'.length),
        `http://localhost${url}?width=320`,
      ]);
      expect(preview.stdout.toString('latin1', 8, 12)).toBe('WEBP');
      // strace does not pass it on.
      process.kill(
        Number(readFileSync(`/proc/${daemon.process.pid}/task/${daemon.process.pid}/children`, 'utf8')),
        'SIGTERM',
      );
      await daemon.exited;
      const calls = [...readFileSync(path, 'utf8').matchAll(/^\d+ +(?:<\.\.\. )?([a-z_0-9]+)[( ]/gm)].map(
        ([, name]) => name!,
      );
      const allowed = allowedCalls(valuesOf('SystemCallFilter')[0]!);
      expect(calls).toContain('fdatasync');
      expect([...new Set(calls)].filter((name) => !allowed.has(name))).toEqual([]);
    });
  });
});

/** The calls of a set, with those of the sets in it. */
function allowedCalls(set: string): Set<string> {
  const names = analyze('syscall-filter', set)
    .stdout.split('\n')
    .slice(1)
    .map((line) => line.trim());
  const words = names.filter((name) => name !== '' && !name.startsWith('#'));
  return new Set(words.flatMap((name) => (name.startsWith('@') ? [...allowedCalls(name)] : [name])));
}

describe('the unit', () => {
  it('has settings that the daemon knows, in the folders that systemd makes', () => {
    const file = join(folder, 'image-storage.yaml');
    writeFileSync(file, example('image-storage.yaml'));
    const { listen, auth, providers, shutdownDelaySeconds, shutdownGraceSeconds } = loadConfig({
      configFile: file,
      flags: {},
      env: {},
    });
    expect(listen[0]).toBe(`unix:/run/${valuesOf('RuntimeDirectory')[0]}/daemon.sock`);
    expect(providers.local).toMatchObject({ basePath: `/var/lib/${valuesOf('StateDirectory')[0]}/outputs` });
    expect(auth?.tokensFile).toBe('/etc/image-storage/tokens');
    expect(Number(valuesOf('TimeoutStopSec')[0])).toBeGreaterThanOrEqual(
      shutdownDelaySeconds + shutdownGraceSeconds + 5,
    );
  });

  it('does not start again what no start mends', () => {
    const codes = valuesOf('RestartPreventExitStatus')[0]!.split(' ').map(Number);
    expect(codes).toEqual([EXIT.USAGE, EXIT.PERMISSION, EXIT.CONFIG]);
  });
});
