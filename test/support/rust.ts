/** The programs in the examples of clients/rust, built by cargo. */
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const folder = fileURLToPath(new URL('../../clients/rust', import.meta.url));
// Kept for all checkouts of this machine: compiling the crates takes a minute.
const target = process.env.CARGO_TARGET_DIR ?? join(tmpdir(), 'image-storage-cargo');
// One folder for everything, so that the generators share what they can; debug symbols would take most of the time.
const env = { ...process.env, CARGO_TARGET_DIR: target, CARGO_PROFILE_DEV_DEBUG: '0' };
// Without it the sum over 64 MiB takes longer than to send them.
const HASHES_FAST = ['--config', 'profile.dev.package.sha2.opt-level=3'];

/** False, with the reason on stderr, where Rust with its formatter and linter, or the crates, cannot be had. */
export async function rustAvailable(): Promise<boolean> {
  try {
    await cargo('fmt', '--version');
    await cargo('clippy', '--version');
    await cargo('build');
    return true;
  } catch (error) {
    console.warn('no Rust client here:', (error as Error).message);
    return false;
  }
}

/** The command line of one of the examples, built as it is now. */
export async function rustProgram(example: string): Promise<string[]> {
  await cargo('build', '--examples');
  return [join(target, 'debug/examples', example)];
}

/** The command line of the interop runner, built on first use; undefined, with the reason on stderr, where Rust cannot be had. */
export async function rustRunner(): Promise<string[] | undefined> {
  return (await rustAvailable()) ? rustProgram('interop') : undefined;
}

export async function cargo(...args: string[]): Promise<void> {
  await promisify(execFile)('cargo', [...HASHES_FAST, ...args], { cwd: folder, env, maxBuffer: 64 << 20 });
}
