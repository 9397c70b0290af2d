/** `image-storage doctor`: the command, and what it says of folders that are well and of those that are not. */
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { EXIT } from '../../src/exit-codes.ts';
import { createStorage, type S3Config } from '../../src/storage/index.ts';
import { blindIndexIn } from '../support/blind-index.ts';
import { COMMAND } from '../support/command.ts';
import { startDaemonProcess } from '../support/daemon-process.ts';
import { filesBelow } from '../support/files.ts';
import { canMountOverlay, canMountTmpfs, openTmpfs, works } from '../support/mounts.ts';
import '../support/on-disk.ts';
import { requires } from '../support/requires.ts';
import { runDaemon } from '../support/running-daemon.ts';
import {
  configFile,
  diagnose,
  doctor,
  expectToBeLocked,
  expectToServe,
  FOX,
  newFolder,
  PNG,
  type Providers,
  thoseThat,
} from './diagnosis.ts';

describe('of a folder', () => {
  it('says ok where it can be made, and makes nothing', async () => {
    const parent = await newFolder();
    const checks = await diagnose({ type: 'local', basePath: join(parent, 'deep', 'outputs') });
    expect(checks.folder).toContain(`can be made in ${parent}`);
    expect(checks.store).toBe('ok: no store yet: the first start makes one');
    expect(thoseThat('failed', checks)).toEqual([]);
    expect(await readdir(parent)).toEqual([]);
  });

  it('says what is in its way', async () => {
    const basePath = join(await newFolder(), 'outputs');
    await writeFile(basePath, '');
    const checks = await diagnose({ type: 'local', basePath });
    expect(checks.folder).toMatch(/^failed: .*outputs is not a folder: remove it, or change basePath$/);
  });

  it('runs beside a daemon, says that it has the lock, and disturbs neither', async () => {
    const basePath = await newFolder();
    const daemon = await startDaemonProcess(basePath);
    onTestFinished(() => void daemon.process.kill('SIGKILL'));
    const before = await filesBelow(basePath);
    const { stdout, exitCode } = await doctor({ local: { basePath } }, '--listen', daemon.address);
    expect(exitCode).toBe(EXIT.OK);
    expect(stdout).toMatch(/^ok +local daemon +the one that serves on \S+ has 0 images in "local"$/m);
    expect(stdout).toMatch(/^ok +local links/m);
    expect(stdout).toMatch(/^ok +local store +it holds the store/m);
    expect(stdout).toMatch(/\nall is well\n$/);
    if (process.platform === 'linux') {
      expect(stdout).toMatch(new RegExp(`^note +local lock +process ${daemon.process.pid} has the store open`, 'm'));
    }
    expect(await filesBelow(basePath)).toEqual(before);
    await expectToServe(daemon.address);
    const other = await newFolder();
    const flags = ['--base-path', other, '--listen', daemon.address];
    const wrong = await doctor({ local: {} }, ...flags);
    expect(wrong.exitCode).toBe(EXIT.NEGATIVE);
    expect(wrong.stdout).toContain(`has 1 image in ${basePath}, not in ${other}\n`);
    const link = join(await newFolder(), 'link');
    await symlink(basePath, link);
    const linked = await doctor({ local: {} }, '--base-path', link, '--listen', daemon.address);
    expect(linked.stdout).toMatch(/^ok +local daemon .* has 1 image in "local"$/m);
    const absent = await doctor({ archive: { type: 'local', basePath: other } }, '--listen', daemon.address);
    expect(absent.stdout).toContain('has no provider "archive": it has another configuration\n');
    await expectToBeLocked({ type: 'local', basePath, lockWaitSeconds: 0 });
    expect(await daemon.stop('SIGTERM')).toBe(0);
    expect((await diagnose({ type: 'local', basePath })).lock).toMatch(/^(ok|skipped): /);
  });

  it('says that searches are blind, and what mends that, with a daemon and without one', async () => {
    const basePath = await newFolder();
    const storage = await createStorage({ providers: { local: { basePath } } });
    const { filename } = await storage.save(PNG, FOX);
    expect((await diagnose({ type: 'local', basePath })).search).toMatch(/^ok: the newest images are found/);
    await storage.close();
    expect((await diagnose({ type: 'local', basePath })).search).toMatch(/^ok: the newest images are found/);
    await blindIndexIn(basePath);
    const before = await filesBelow(basePath);
    const { search } = await diagnose({ type: 'local', basePath });
    expect(search).toContain(`failed: the index is blind: "red" does not find ${filename}; stop the daemon, then: `);
    expect(search).toMatch(/ image-storage catalog rebuild --provider main$/);
    expect(await filesBelow(basePath)).toEqual(before);
  });

  it('says that the next start rebuilds a catalog that is gone', async () => {
    const basePath = await newFolder();
    await (await createStorage({ providers: { local: { basePath } } })).close();
    await rm(join(basePath, 'metadata/catalog.db'));
    expect((await diagnose({ type: 'local', basePath })).store).toMatch(/^note: .*rebuilds it from the records$/);
  });
});

requires('root, to mount', canMountTmpfs)('of a daemon whose folder is not to be seen, such as in a container', () => {
  it('says where that is, and does not fail', async () => {
    await using daemon = await runDaemon();
    await expectToServe(daemon.address);
    const theirs = dirname(daemon.socket);
    const file = await configFile({ local: { basePath: await newFolder() } });
    const words = [process.execPath, COMMAND, 'doctor', '--config', file, '--listen', daemon.address];
    const hidden = ['--mount', 'sh', '-c', 'mount -t tmpfs none "$0" && exec "$@"', theirs, ...words];
    const { stdout } = await promisify(execFile)('unshare', hidden);
    expect(stdout).toContain(`has 1 image in ${theirs}/outputs, which is not to be seen from here\n`);
    expect(stdout).toMatch(/\nall is well\n$/);
  });
});

requires('root, to mount a tmpfs', canMountTmpfs)('of a disk that is', () => {
  it('full: says so, and that room is needed', async () => {
    await using disk = await openTmpfs('size=1m');
    await writeFile(join(disk.path, 'ballast'), Buffer.alloc(1 << 20, 1)).catch(() => {});
    const checks = await diagnose({ type: 'local', basePath: join(disk.path, 'outputs') });
    expect(thoseThat('failed', checks)).toEqual(['space', 'fsync']);
    expect(checks.space).toMatch(/^failed: 0 MiB free: the disk is full: make room$/);
    expect(checks.filesystem).toMatch(/^note: .*in memory/);
    expect(await readdir(disk.path)).toEqual(['ballast']);
  });

  it('out of inodes: says so', async () => {
    await using disk = await openTmpfs('size=64m,nr_inodes=5');
    const checks = await diagnose({ type: 'local', basePath: join(disk.path, 'outputs') });
    expect(checks.space).toMatch(/^failed: .*no inodes/);
  });

  it('read-only: says what to mount', async () => {
    await using disk = await openTmpfs('size=1m');
    expect(works('mount', '-o', 'remount,ro', disk.path)).toBe(true);
    const checks = await diagnose({ type: 'local', basePath: join(disk.path, 'outputs') });
    expect(checks.folder).toMatch(/^failed: .*read-only: mount it writable, or change basePath$/);
  });

  it('in two parts: says that images and metadata belong on one', async () => {
    await using disk = await openTmpfs('size=1m');
    const basePath = await newFolder();
    await mkdir(join(basePath, 'metadata'));
    expect(works('mount', '--bind', disk.path, join(basePath, 'metadata'))).toBe(true);
    const checks = await diagnose({ type: 'local', basePath });
    expect(works('umount', join(basePath, 'metadata'))).toBe(true);
    expect(checks.links).toMatch(/^failed: .*one file system with hard links; mount the folder as a whole$/);
  });

  requires('root, to mount an overlay', canMountOverlay)('an overlay', () => {
    it('of which stat tells another device than the lock: says who has it', async () => {
      await using disk = await openTmpfs('size=64m');
      const [upper, work] = [join(disk.path, 'upper'), join(disk.path, 'work')];
      await Promise.all([upper, work].map((path) => mkdir(path)));
      const [lower, basePath] = [await newFolder(), await newFolder()];
      const layers = `lowerdir=${lower},upperdir=${upper},workdir=${work},xino=off`;
      expect(works('mount', '-t', 'overlay', '-o', layers, 'none', basePath)).toBe(true);
      onTestFinished(() => void works('umount', '--lazy', basePath));
      const storage = await createStorage({ providers: { local: { basePath } } });
      const checks = await diagnose({ type: 'local', basePath }).finally(() => storage.close());
      expect(checks.lock).toMatch(new RegExp(`^note: process ${process.pid} has the store open`));
    });
  });

  it('of another user: gives the command', async () => {
    const basePath = await newFolder();
    const run = () => diagnose({ type: 'local', basePath });
    // Loads all modules while they can be read.
    await run();
    process.seteuid!(65534);
    const checks = await run().finally(() => process.seteuid!(0));
    expect(checks.folder).toMatch(/^failed: .* cannot be written by this user \(uid 65534\): /);
    expect(checks.folder).toContain(`sudo chown -R 65534 ${basePath}, or change basePath`);
  });
});

describe('the command', () => {
  it('exits 78 for a configuration that is wrong, and 64 for a provider that is not there', async () => {
    const wrong = await doctor({ s3: { type: 's3', region: 'eu-central-1' } as S3Config });
    expect(wrong).toMatchObject({ exitCode: EXIT.CONFIG, stdout: '', stderr: expect.stringContaining('bucket') });
    const local = { basePath: './never' };
    const missing = await doctor({ local }, '--provider', 'archive');
    expect(missing).toMatchObject({ exitCode: EXIT.USAGE, stderr: expect.stringContaining('configured: local') });
  });

  it('examines the one that is named, by its other name, too', async () => {
    const [one, two] = [await newFolder(), await newFolder()];
    const providers: Providers = { local: { basePath: one }, archive: { type: 'local', basePath: two } };
    const { stdout } = await doctor(providers, '--provider', 'project', '--json');
    expect(stdout).toContain('"provider":"local"');
    expect(stdout).not.toContain('archive');
  });
});

it('takes the presets of docs/object-stores.md as they stand', async () => {
  const text = await readFile(new URL('../../docs/object-stores.md', import.meta.url), 'utf8');
  const presets = [...text.matchAll(/^```yaml\n(.+?)^```/gms)].map(([, yaml]) => yaml!);
  expect(presets).toHaveLength(6);
  const configFile = join(await newFolder(), 'preset.yaml');
  for (const preset of presets) {
    await writeFile(configFile, preset);
    expect(loadConfig({ configFile })).toMatchObject({ defaultProvider: 's3', providers: { s3: { type: 's3' } } });
  }
});
