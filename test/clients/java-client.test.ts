/** The Java client: formatted, generated from the contract as it is, and its example against a daemon. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { startCuttingProxy } from '../support/cutting-proxy.ts';
import { generatedDiff } from '../support/generated.ts';
import { sharedImages } from '../support/images.ts';
import { javaAvailable, javaProgram, maven } from '../support/java.ts';
import { requires } from '../support/requires.ts';
import { runDaemon } from '../support/running-daemon.ts';

const [image] = sharedImages();
const available = image !== undefined && (await javaAvailable());

requires('../shared/images, Maven and a JDK of at least 17', available)('clients/java', () => {
  it('is formatted', { timeout: 600_000 }, async () => {
    await maven('spotless:check');
  });

  it('is what the contract generates', { timeout: 600_000 }, async () => {
    expect(await generatedDiff('clients/java/buf.gen.yaml', 'clients/java/src/main/java')).toBe('');
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
});
