/** The Java client: formatted, packaged also outside of the repository, and its example against a daemon. */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { startCuttingProxy } from '../support/cutting-proxy.ts';
import { sharedImages } from '../support/images.ts';
import { javaAvailable, javaProgram, maven, mavenIn } from '../support/java.ts';
import { requires } from '../support/requires.ts';
import { runDaemon } from '../support/running-daemon.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
const [image] = sharedImages();
const available = image !== undefined && (await javaAvailable());

requires('../shared/images, Maven and a JDK of at least 17', available)('clients/java', () => {
  it('is formatted', { timeout: 600_000 }, async () => {
    await maven('spotless:check');
  });

  it('is packaged with the contract and its source, also outside of the repository', { timeout: 600_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'image-storage-java-'));
    try {
      await cp(join(root, 'clients/java/pom.xml'), join(folder, 'pom.xml'));
      await mavenIn(folder, 'package', `-Dimagestorage.proto=${join(root, 'proto')}`);
      const entries = async (jar: string) =>
        (await promisify(execFile)('jar', ['--list', '--file', join(folder, 'target', jar)])).stdout.split('\n');
      const stubs = ['dev/imagestorage/v1/ImageStorageGrpc.class', 'imagestorage/v1/image_storage.proto'];
      expect(await entries(`image-storage-${version}.jar`)).toEqual(expect.arrayContaining(stubs));
      expect(await entries(`image-storage-${version}-sources.jar`)).toContain('dev/imagestorage/v1/SaveHeader.java');
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('its example saves once, over a connection that breaks in place of the answer', { timeout: 600_000 }, async () => {
    const [program, ...args] = await javaProgram('SaveAndList');
    await using daemon = await runDaemon();
    await using proxy = await startCuttingProxy(daemon.address, [{ atAnswer: 'break' }]);
    const example = (address: string) =>
      promisify(execFile)(program!, [...args, image!.path], {
        env: { ...process.env, IMAGE_STORAGE_ADDRESS: address },
      });
    const first = await example(proxy.address);
    expect(first.stdout).toMatch(/^saved (\S+) at \S+\/\1\n\1: a red fox\n$/);
    const second = await example(`unix:${daemon.socket}`);
    expect(second.stdout.match(/: a red fox$/gm)).toHaveLength(2);
  });

  it('its example says that there is no daemon', { timeout: 600_000 }, async () => {
    const [program, ...args] = await javaProgram('SaveAndList');
    const env = { ...process.env, IMAGE_STORAGE_ADDRESS: '127.0.0.1:1' };
    const { stderr } = await promisify(execFile)(program!, [...args, image!.path], { env }).catch((error) => error);
    expect(stderr).toMatch(/no daemon at 127\.0\.0\.1:1: .*Connection refused/);
  });
});
