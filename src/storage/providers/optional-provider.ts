/** A provider that is not required: while it cannot be opened, its calls are refused, and opening is retried. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Reason, StorageError, StoreOpenError } from '../domain/errors.ts';
import type { Logger } from '../domain/logger.ts';
import type { ProviderHealth } from '../domain/requests.ts';
import type { StorageProvider } from '../types.ts';

/** Usually enough for the provider to open, so that the first call is served, too. */
const FIRST_WAIT_MS = 5_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

/** A provider of the configuration, open or not. */
export interface ProviderHandle {
  readonly name: string;
  readonly health: ProviderHealth;
  /** Returns the open provider. Throws BACKEND_AUTH or BACKEND_UNAVAILABLE while it is not open. */
  opened(): StorageProvider;
  close(): Promise<void>;
}

export interface OptionalOptions {
  name: string;
  log: Logger;
  /** Makes one attempt. The signal fires when no caller waits for it any more. */
  open(signal: AbortSignal): Promise<StorageProvider>;
}

/** Resolves when the provider is open, its first attempt has failed or 5 s have passed; never rejects. */
export async function openOptional(options: OptionalOptions): Promise<ProviderHandle> {
  const provider = new OptionalProvider(options);
  await Promise.race([provider.firstAttempt, sleep(FIRST_WAIT_MS, undefined, { ref: false })]);
  return provider;
}

class OptionalProvider implements ProviderHandle {
  readonly name: string;
  readonly firstAttempt: Promise<void>;
  readonly #options: OptionalOptions;
  readonly #closing = new AbortController();
  readonly #trying: Promise<void>;
  #provider: StorageProvider | undefined;
  #refusal = new StorageError('BACKEND_UNAVAILABLE', 'is still being opened');
  /** The failure that was logged last. */
  #why: string | undefined;

  constructor(options: OptionalOptions) {
    this.name = options.name;
    this.#options = options;
    this.firstAttempt = this.#try();
    this.#trying = this.firstAttempt.then(() => this.#keepTrying());
  }

  get health(): ProviderHealth {
    return this.#provider?.health ?? { serving: false, why: this.#refusal.message };
  }

  opened(): StorageProvider {
    if (this.#provider === undefined) throw this.#refusal;
    return this.#provider;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#trying;
    await this.#provider?.close();
  }

  async #keepTrying(): Promise<void> {
    const { signal } = this.#closing;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      if (this.#provider !== undefined) return;
      // Full jitter would sometimes not pause at all.
      const jitteredMs = pauseMs * (0.5 + Math.random() / 2);
      await sleep(jitteredMs, undefined, { ref: false, signal }).catch(() => {});
      if (signal.aborted) return;
      await this.#try();
    }
  }

  async #try(): Promise<void> {
    const { name: provider, log, open } = this.#options;
    const { signal } = this.#closing;
    try {
      this.#provider = await open(signal);
      if (this.#why !== undefined) log.info({ provider }, 'the provider is open now');
    } catch (error) {
      if (!signal.aborted) this.#refuse(error);
    }
  }

  /** Logs an outage once, whatever the number of attempts. */
  #refuse(error: unknown): void {
    const { name: provider, log } = this.#options;
    const why = error instanceof Error ? error.message : String(error);
    if (why !== this.#why) log.error({ err: error, provider }, `${why}; its calls are refused, and it is tried again`);
    this.#why = why;
    this.#refusal = refusalOf(error);
  }
}

/** Returns the error for callers; only the log says which setting is wrong. */
function refusalOf(error: unknown): StorageError {
  const { isAuth, details } = error instanceof StoreOpenError ? error : {};
  const reason: Reason = isAuth ? 'BACKEND_AUTH' : 'BACKEND_UNAVAILABLE';
  return new StorageError(reason, 'cannot be opened now; the log of the daemon says why', { cause: error, details });
}
