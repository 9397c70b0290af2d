/** `image-storage import --move` of the store's own folder, seen at another path: nothing of it goes. */
import { readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { connect } from '../../src/client.ts';
import { EXIT } from '../../src/exit-codes.ts';
import { runCommands } from '../support/command.ts';
import { pngOf } from '../support/images.ts';
import { canMountTmpfs, openBind } from '../support/mounts.ts';
import { requires } from '../support/requires.ts';
import { runDaemon } from '../support/running-daemon.ts';

requires('root, to mount', canMountTmpfs)('a folder of the store that is mounted elsewhere', () => {
  it('loses no image, not even one of two that are equal', async () => {
    await using daemon = await runDaemon();
    const client = connect(daemon.address);
    onTestFinished(() => client.close());
    const metadata = { model: 'flux', timestamp: new Date('2024-09-27T14:15:22Z') };
    const images = [];
    for (const seed of [1, 2, 2]) images.push(await client.save(pngOf({ width: 8, height: 6, seed }), metadata));
    await using mount = await openBind(dirname(images[0]!.path));
    const { stdout, exitCode } = await runCommands([
      ['import', mount.path, '--move', '--json', '--address', daemon.address],
    ]);
    const told = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(told.slice(0, -1)).toMatchObject(images.map(() => ({ reason: 'DUPLICATE', kept: 'OF_A_STORE' })));
    expect(exitCode).toBe(EXIT.NEGATIVE);
    expect((await readdir(mount.path)).sort()).toEqual(images.map(({ filename }) => filename).sort());
  });
});
