/** One worker thread with a SQLite connection, and calls to it. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { StoreOpenError } from '../../domain/errors.ts';
import { CatalogError, type CatalogFailure } from '../catalog.ts';
import type { CatalogFile } from './opening.ts';
import type { CatalogReader } from './reader.ts';
import type { CatalogWriter } from './writer.ts';

/** The built package is flat; its worker is an entry of its own. */
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './sqlite-worker.js', import.meta.url);

interface Roles {
  writer: CatalogWriter;
  reader: CatalogReader;
}

export interface ThreadData {
  role: keyof Roles;
  file: CatalogFile;
}

export interface Call {
  id: number;
  method: string;
  args: unknown[];
}

export type Answer = { id: number; result: unknown } | { id: number; error: PlainError };

type PlainError = { failure: CatalogFailure; message: string } | { kind: StoreOpenError['kind']; message: string };

// biome-ignore lint/suspicious/noExplicitAny: matches every method
type Method = (...args: any[]) => unknown;
type Methods<T> = { [K in keyof T]: T[K] extends Method ? K : never }[keyof T];
type Result<T> = T extends Generator<void, infer R> ? R : T;

interface Waiting {
  resolve: (result: never) => void;
  reject: (error: Error) => void;
  /** What it means for this call that the thread dies. */
  ifDead: CatalogFailure;
}

/** The class of that role, with each method made asynchronous. */
export class CatalogThread<R extends keyof Roles> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #onDeath: (error: Error) => void;
  #nextId = 0;
  #state: 'running' | 'stopping' | 'dead' = 'running';

  /** `onDeath`: the thread ended though nobody stopped it; all its calls reject. */
  constructor(role: R, file: CatalogFile, onDeath: (error: Error) => void) {
    this.#onDeath = onDeath;
    // Flags of the program around us, such as --input-type, are not meant for this file.
    this.#worker = new Worker(WORKER, { workerData: { role, file } satisfies ThreadData, execArgv: [] });
    this.#worker.on('message', (answer: Answer) => this.#settle(answer));
    let cause: unknown;
    this.#worker.on('error', (error) => {
      cause = error;
    });
    this.#worker.on('exit', () => this.#die(cause));
  }

  call<M extends Methods<Roles[R]>>(
    method: M,
    args: Roles[R][M] extends Method ? Parameters<Roles[R][M]> : never,
    ifDead: CatalogFailure = 'definite',
  ): Promise<Roles[R][M] extends Method ? Result<ReturnType<Roles[R][M]>> : never> {
    return new Promise((resolve, reject) => {
      if (this.#state === 'dead') throw new CatalogError('definite', 'the thread of the catalog has ended');
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve, reject, ifDead });
      this.#worker.postMessage({ id, method: method as string, args } satisfies Call);
    });
  }

  /** Ends the thread, which must have closed its connection. */
  async stop(): Promise<void> {
    if (this.#state !== 'running') return;
    this.#state = 'stopping';
    const exited = once(this.#worker, 'exit');
    await this.#worker.terminate();
    await exited;
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ('error' in answer) waiting?.reject(revive(answer.error));
    else waiting?.resolve(answer.result as never);
  }

  #die(cause: unknown): void {
    const wasStopped = this.#state === 'stopping';
    this.#state = 'dead';
    const message = 'the thread of the catalog died';
    for (const { reject, ifDead } of this.#waiting.values()) reject(new CatalogError(ifDead, message, { cause }));
    this.#waiting.clear();
    if (!wasStopped) this.#onDeath(new Error(message, { cause }));
  }
}

function revive(error: PlainError): Error {
  return 'kind' in error
    ? new StoreOpenError(error.kind, error.message)
    : new CatalogError(error.failure, error.message);
}
