/** One process that decodes, from its start to its end: sends orders and bytes, and matches the answers. */
import { type ChildProcess, fork } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Decoded, DecodeOrder, FromWorker, ToWorker } from './messages.ts';

/** The built package is flat; its worker is an entry of its own. */
const WORKER = fileURLToPath(
  import.meta.url.endsWith('.ts')
    ? new URL('./worker.ts', import.meta.url)
    : new URL('./preview-worker.js', import.meta.url),
);
const MAX_HEAP_MB = 64;

/** The image cannot be decoded, or takes too much. */
export class DecodeError extends Error {
  override readonly name: string = 'DecodeError';
}

/** It took too long, which another time it may not. */
export class SlowDecodeError extends DecodeError {}

/** The bytes of the image are not there, or not those that were saved. */
export class UnreadImageError extends Error {
  override readonly name = 'UnreadImageError';
}

/** No image can be decoded on this machine. */
export class NoDecoderError extends Error {
  override readonly name = 'NoDecoderError';
}

/** The process has ended, or did not start: of several images any may be why. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}

interface InHand {
  resolve(decoded: Decoded): void;
  reject(error: Error): void;
}

export class DecoderProcess {
  /** Rejects with a NoDecoderError, or an InterruptedError where it could not be started. */
  readonly ready: Promise<void>;
  readonly #process: ChildProcess;
  readonly #inHand = new Map<number, InHand>();
  #last = 0;
  #residentBytes = 0;
  #isKilled = false;

  constructor(onExit: () => void) {
    // Neither flags nor variables of the daemon: what decodes foreign bytes is told no secret.
    this.#process = fork(WORKER, [], {
      execArgv: [`--max-old-space-size=${MAX_HEAP_MB}`],
      env: {},
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    lowerPriority(this.#process);
    this.#process.unref();
    this.#process.channel?.unref();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ready = promise;
    this.#process.on('message', (message) => this.#take(message as FromWorker, resolve, reject));
    this.#process.once('error', (cause) => reject(new InterruptedError('the decoder could not be started', { cause })));
    this.#process.once('exit', (code, signal) => {
      onExit();
      const why = `the decoder ended with ${signal ?? code}`;
      reject(new InterruptedError(why));
      this.#interrupt(why);
    });
  }

  /** What it had when it last gave something back. */
  get residentBytes(): number {
    return this.#residentBytes;
  }

  get isIdle(): boolean {
    return this.#inHand.size === 0;
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** It takes no more orders. */
  get isKilled(): boolean {
    return this.#isKilled;
  }

  kill(): void {
    this.#isKilled = true;
    this.#process.kill('SIGKILL');
  }

  /** `bytes`: unless the order has a path. The time runs once it has all of them. */
  async decode(order: DecodeOrder, bytes: AsyncIterable<Uint8Array>, deadlineMs: number): Promise<Decoded> {
    const id = ++this.#last;
    const { promise, resolve, reject } = Promise.withResolvers<Decoded>();
    this.#inHand.set(id, { resolve, reject });
    // It may end while bytes are still sent.
    promise.catch(() => undefined);
    let deadline: NodeJS.Timeout | undefined;
    try {
      await this.#send({ kind: 'order', id, order });
      await Promise.race([this.#sendBytes(id, order, bytes), promise]);
      await this.#send({ kind: 'decode', id });
      deadline = setTimeout(() => this.#end(id, `took longer than ${deadlineMs / 1000} s`), deadlineMs);
      return await promise;
    } catch (error) {
      if (deadline === undefined) void this.#send({ kind: 'forget', id }).catch(() => undefined);
      throw error;
    } finally {
      clearTimeout(deadline);
      this.#inHand.delete(id);
    }
  }

  async #sendBytes(id: number, { path }: DecodeOrder, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    if (path !== undefined) return;
    for await (const part of bytes) await this.#send({ kind: 'bytes', id, bytes: part });
  }

  /** Ends the process for one of its images. */
  #end(id: number, why: string): void {
    this.#inHand.get(id)?.reject(new SlowDecodeError(why));
    this.#inHand.delete(id);
    this.kill();
  }

  /** One image alone is why the process has ended by itself. */
  #interrupt(why: string): void {
    const isWhy = this.#inHand.size === 1 && !this.#isKilled;
    for (const { reject } of this.#inHand.values()) reject(isWhy ? new DecodeError(why) : new InterruptedError(why));
    this.#inHand.clear();
  }

  #take(message: FromWorker, ready: () => void, unable: (error: Error) => void): void {
    if (message.kind === 'ready') ready();
    else if (message.kind === 'unable') unable(new NoDecoderError(message.why));
    else if (message.kind === 'decoded') {
      this.#residentBytes = message.residentBytes;
      this.#inHand.get(message.id)?.resolve(message.decoded);
    } else {
      const { why, isUnread } = message;
      this.#inHand.get(message.id)?.reject(isUnread ? new UnreadImageError(why) : new DecodeError(why));
    }
  }

  /** Resolves once the message is written: a process that reads slowly holds up the reading of bytes. */
  #send(message: ToWorker): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#process.send(message, (error) => {
        if (error === null) resolve();
        else reject(new InterruptedError('the decoder has ended', { cause: error }));
      });
    });
  }
}

/** Saves come first. Before the process starts threads, which inherit it. */
function lowerPriority({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // It has ended already, which its exit tells.
  }
}
