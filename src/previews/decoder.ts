/** The process that decodes, as the daemon sees it: started at the first image, ended at a deadline, started again. */
import { type ChildProcess, fork } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Logger } from '../storage/domain/logger.ts';
import type { Decoded, DecodeOrder, FromWorker, ToWorker } from './messages.ts';

/** The built package is flat; its worker is an entry of its own. */
const WORKER = fileURLToPath(
  import.meta.url.endsWith('.ts')
    ? new URL('./worker.ts', import.meta.url)
    : new URL('./preview-worker.js', import.meta.url),
);

/** How long one image may take, once its bytes are there. */
const DEADLINE_MS = 10_000;
/** The process ends when it had nothing to do for so long. */
const IDLE_MS = 30_000;
const MAX_HEAP_MB = 64;

/** The image cannot be decoded, or takes too much. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
}

/** No image can be decoded on this machine. */
export class NoDecoderError extends Error {
  override readonly name = 'NoDecoderError';
}

export class Decoder {
  readonly #log: Logger;
  #child: Promise<Child> | undefined;
  #idle: NodeJS.Timeout | undefined;
  #unable: NoDecoderError | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** False: no image can be decoded here, which is known from the first attempt on. */
  get isAble(): boolean {
    return this.#unable === undefined;
  }

  /** Rejects with a DecodeError, with a NoDecoderError, or as the bytes do. */
  async decode(order: DecodeOrder, bytes: AsyncIterable<Uint8Array>): Promise<Decoded> {
    clearTimeout(this.#idle);
    const child = await this.#running();
    try {
      return await child.decode(order, bytes);
    } finally {
      this.#idle = setTimeout(() => this.stop(), IDLE_MS).unref();
    }
  }

  /** Ends the process, and what it is at. */
  stop(): void {
    clearTimeout(this.#idle);
    this.#child?.then((child) => child.kill()).catch(() => undefined);
    this.#child = undefined;
  }

  async #running(): Promise<Child> {
    if (this.#unable !== undefined) throw this.#unable;
    let starting = this.#child;
    if (starting === undefined) {
      starting = startChild(() => {
        if (this.#child === starting) this.#child = undefined;
      });
      this.#child = starting;
    }
    try {
      return await starting;
    } catch (error) {
      this.#child = undefined;
      if (error instanceof NoDecoderError && this.#unable === undefined) {
        this.#unable = error;
        this.#log.info(
          { problem: error.message },
          'previews need the package sharp: small originals are served instead',
        );
      }
      throw error;
    }
  }
}

/** Resolves once it can decode. */
async function startChild(onExit: () => void): Promise<Child> {
  // Neither flags nor variables of the daemon: what decodes foreign bytes is told no secret.
  const started = fork(WORKER, [], {
    execArgv: [`--max-old-space-size=${MAX_HEAP_MB}`],
    env: {},
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  lowerPriority(started);
  started.unref();
  started.channel?.unref();
  const child = new Child(started);
  started.once('exit', onExit);
  await child.ready;
  return child;
}

/** Saves come first, also where the decoder would take all there is. Before it starts threads, which inherit it. */
function lowerPriority({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // It has ended already, which its exit tells.
  }
}

interface Waiting {
  resolve(decoded: Decoded): void;
  reject(error: Error): void;
}

class Child {
  readonly ready: Promise<void>;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;

  constructor(process: ChildProcess) {
    this.#process = process;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ready = promise;
    process.on('message', (message) => this.#take(message as FromWorker, resolve, reject));
    const end = (error: Error) => {
      reject(error);
      for (const waiting of this.#waiting.values()) waiting.reject(error);
      this.#waiting.clear();
    };
    process.once('error', (error) => end(new DecodeError('the decoder could not be started', { cause: error })));
    process.once('exit', (code, signal) => end(new DecodeError(`the decoder ended with ${signal ?? code}`)));
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  async decode(order: DecodeOrder, bytes: AsyncIterable<Uint8Array>): Promise<Decoded> {
    const id = ++this.#last;
    const { promise, resolve, reject } = Promise.withResolvers<Decoded>();
    this.#waiting.set(id, { resolve, reject });
    // It may end while bytes are still sent.
    promise.catch(() => undefined);
    try {
      await this.#send({ kind: 'order', id, order });
      for await (const part of bytes) await this.#send({ kind: 'bytes', id, bytes: part });
    } catch (error) {
      this.#waiting.delete(id);
      void this.#send({ kind: 'forget', id }).catch(() => undefined);
      throw error;
    }
    const deadline = setTimeout(() => this.kill(), DEADLINE_MS);
    try {
      await this.#send({ kind: 'decode', id });
      return await promise;
    } finally {
      clearTimeout(deadline);
      this.#waiting.delete(id);
    }
  }

  #take(message: FromWorker, ready: () => void, unable: (error: Error) => void): void {
    if (message.kind === 'ready') ready();
    else if (message.kind === 'unable') unable(new NoDecoderError(message.why));
    else if (message.kind === 'decoded') this.#waiting.get(message.id)?.resolve(message.decoded);
    else this.#waiting.get(message.id)?.reject(new DecodeError(message.why));
  }

  /** Resolves once the message is written: a process that reads slowly holds up the reading of bytes. */
  #send(message: ToWorker): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#process.send(message, (error) => {
        if (error === null) resolve();
        else reject(new DecodeError('the decoder has ended', { cause: error }));
      });
    });
  }
}
