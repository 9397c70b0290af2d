/** The Rust client: formatted, linted, generated from the contract as it is, and its example against a daemon. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { startCuttingProxy } from '../support/cutting-proxy.ts';
import { sharedImages } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { runDaemon } from '../support/running-daemon.ts';
import { cargo, rustAvailable, rustProgram } from '../support/rust.ts';
import { generatedDiff } from './generated.ts';

const [image] = sharedImages();
const available = image !== undefined && (await rustAvailable());

requires('../shared/images and Rust 1.88 with rustfmt and clippy', available)('clients/rust', () => {
  it('is formatted and linted', { timeout: 600_000 }, async () => {
    await cargo('fmt', '--check');
    await cargo('clippy', '--all-targets', '--', '--deny', 'warnings');
  });

  it('is what the contract generates', { timeout: 600_000 }, async () => {
    const plugins = ['protoc-gen-prost@0.5.0', 'protoc-gen-tonic@0.5.0'];
    await cargo('install', '--debug', '--root', 'target/generators', ...plugins);
    expect(await generatedDiff('clients/rust/buf.gen.yaml', 'clients/rust/src/generated')).toBe('');
  });

  it('its example saves once, over a connection that breaks in place of the answer', { timeout: 600_000 }, async () => {
    const [program] = await rustProgram('save_and_list');
    await using daemon = await runDaemon();
    await using proxy = await startCuttingProxy(daemon.address, [{ atAnswer: 'break' }]);
    const example = (address: string) =>
      promisify(execFile)(program!, [image!.path], { env: { ...process.env, IMAGE_STORAGE_ADDRESS: address } });
    const first = await example(proxy.address);
    expect(first.stdout).toMatch(/^saved (\S+) at \S+\/\1\n\1: a red fox\n$/);
    const second = await example(`unix:${daemon.socket}`);
    expect(second.stdout.match(/: a red fox$/gm)).toHaveLength(2);
  });

  it('its example says that there is no daemon', { timeout: 600_000 }, async () => {
    const [program] = await rustProgram('save_and_list');
    const env = { ...process.env, IMAGE_STORAGE_ADDRESS: '127.0.0.1:1' };
    const { stderr } = await promisify(execFile)(program!, [image!.path], { env }).catch((error) => error);
    expect(stderr).toContain('no daemon at 127.0.0.1:1: Connection refused');
  });
});
