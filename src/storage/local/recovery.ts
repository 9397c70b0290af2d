/** Runs the recovery of a local store: before it serves or, where the catalog is looked through first, behind its calls. */
import type { Logger } from '../domain/logger.ts';

export interface RecoveryOptions {
  /** Recovers the store. */
  recover: () => Promise<void>;
  /** Called with what the recovery behind the calls rejected with. */
  onFailure: (error: Error) => void;
  log: Logger;
  provider: string;
}

export class Recovery {
  readonly #options: RecoveryOptions;
  #isDone = false;
  #running: Promise<void> = Promise.resolve();

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  /** Until then no record may be taken for synced, and no stop is clean. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Recovers the store now. */
  async run(): Promise<void> {
    await this.#options.recover();
    this.#isDone = true;
  }

  /** Recovers the store once the catalog was looked through and is sound. */
  runAfter(whenChecked: Promise<boolean>): void {
    const { log, provider } = this.#options;
    log.info({ provider }, 'the last stop was not clean: the catalog is looked through behind the calls');
    this.#running = this.#runAfter(whenChecked);
  }

  async #runAfter(whenChecked: Promise<boolean>): Promise<void> {
    const { log, provider, onFailure } = this.#options;
    if (!(await whenChecked)) {
      log.warn({ provider }, 'the catalog could not be looked through; the next start does so');
      return;
    }
    try {
      await this.run();
      log.info({ provider }, 'the catalog is sound, and the store is recovered');
    } catch (error) {
      onFailure(error as Error);
    }
  }

  /** Waits until it has ended: only then may a stop be clean. */
  async idle(): Promise<void> {
    await this.#running;
  }
}
