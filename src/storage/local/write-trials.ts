/** Finds out, once a write has failed, whether a local store takes any, and when it does again. */
import { access, constants, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ifPresent, unlinkIfPresent } from '../disk/files.ts';
import { toStorageError } from '../domain/errors.ts';
import type { ProviderHealth } from '../domain/requests.ts';
import type { ProviderContext } from '../types.ts';
import type { Layout } from './layout.ts';

const TRIAL_MS = 1_000;

export class WriteTrials {
  readonly #layout: Layout;
  readonly #context: Pick<ProviderContext, 'log' | 'name'>;
  #timer: NodeJS.Timeout | undefined;
  #isFailing = false;
  #isStopped = false;

  constructor(layout: Layout, context: Pick<ProviderContext, 'log' | 'name'>) {
    this.#layout = layout;
    this.#context = context;
  }

  get health(): ProviderHealth {
    return this.#isFailing ? { serving: false, why: 'the disk of the store takes no writes' } : { serving: true };
  }

  /** After a failure of the disk, tries a small file each second until that works; `health` says how it goes. */
  noteFailure(error: unknown): void {
    if (isOfDisk(error) && this.#timer === undefined && !this.#isStopped) this.#schedule();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    this.#timer = setTimeout(async () => {
      await this.#try();
      this.#timer = undefined;
      if (this.#isFailing && !this.#isStopped) this.#schedule();
    }, TRIAL_MS).unref();
  }

  async #try(): Promise<void> {
    const error = await tryWrites(this.#layout).then(
      () => undefined,
      (failure: unknown) => failure,
    );
    const { log, name: provider } = this.#context;
    const isFailing = error !== undefined && isOfDisk(error);
    if (isFailing === this.#isFailing) return;
    this.#isFailing = isFailing;
    if (isFailing)
      log.error({ err: error, provider }, 'the disk takes no writes; health says NOT_SERVING until it does');
    else log.warn({ provider }, 'the disk takes writes again');
  }
}

/** A full disk, say, has an answer of its own. */
function isOfDisk(error: unknown): boolean {
  const { reason } = toStorageError(error);
  return reason === 'STORAGE_IO' || reason === 'STORE_READ_ONLY';
}

/** Writes, syncs and removes a file in staging. The other folders are only asked: nothing foreign may lie in them. */
async function tryWrites({ staging, images, records }: Layout): Promise<void> {
  const path = join(staging, '.write-test');
  await unlinkIfPresent(path);
  await ifPresent(writeFile(path, 'x', { flag: 'wx', flush: true }));
  await unlinkIfPresent(path);
  for (const folder of [images, records]) await ifPresent(access(folder, constants.W_OK | constants.X_OK));
}
