/** A folder of another machine that is mounted by FUSE: two daemons would both take its lock. */
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createStorage } from '../../src/storage/index.ts';
import { diagnose, newFolder } from '../doctor/diagnosis.ts';
import { hasFuse, hasSshfs, openSshfs } from '../support/mounts.ts';
import { requires } from '../support/requires.ts';

const REFUSED = /on sshfs, where locks and fsync cannot be relied on; mount a local disk there$/;

// Without FUSE in the kernel there is nothing to install, in CI neither.
const suite = hasFuse ? requires('sshfs and an SFTP server', hasSshfs) : describe.skip;

suite('a folder that is mounted by sshfs', () => {
  it('is refused by every start, and by doctor, with what to mount', async () => {
    const folder = await newFolder();
    await using one = await openSshfs(folder);
    await using two = await openSshfs(folder);
    for (const { path } of [one, two]) {
      const basePath = join(path, 'outputs');
      const start = createStorage({ providers: { local: { basePath } } });
      await expect(start).rejects.toMatchObject({ kind: 'config', message: expect.stringMatching(REFUSED) });
      expect((await diagnose({ type: 'local', basePath })).filesystem).toMatch(REFUSED);
    }
  });

  it('is refused behind links, too', async () => {
    await using mount = await openSshfs(await newFolder());
    const basePath = await newFolder();
    for (const name of ['images', 'metadata']) {
      await mkdir(join(mount.path, name));
      await symlink(join(mount.path, name), join(basePath, name));
    }
    const start = createStorage({ providers: { local: { basePath } } });
    await expect(start).rejects.toMatchObject({ kind: 'config', message: expect.stringMatching(REFUSED) });
  });
});
