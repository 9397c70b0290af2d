/** One worker thread with a SQLite connection, and calls to it. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { StorageError, StoreOpenError } from '../../domain/errors.ts';
import { CatalogError, type CatalogFailure } from '../catalog.ts';
import type { Gate } from './gate.ts';
import type { Answer, PlainError, Request, Role, ThreadData } from './messages.ts';
import type { CatalogFile } from './opening.ts';
import type { CatalogReader } from './reader.ts';
import type { CatalogWriter } from './writer.ts';

/** The built package is flat; its worker is an entry of its own. */
const WORKER = import.meta.url.endsWith('.ts')
  ? new URL('./worker.ts', import.meta.url)
  : new URL('./sqlite-worker.js', import.meta.url);

/** Rows become garbage at once; V8 would give each thread 48 MB for it while a store is built or listed. */
const YOUNG_MB = 12;

/** The class that a thread of each role runs. */
interface Classes extends Record<Role, object> {
  writer: CatalogWriter;
  reader: CatalogReader;
}

type MethodName<R extends Role> = keyof Classes[R] & string;

/** The methods of a class, each made asynchronous; a generator's is its result. */
type Remote<T> = {
  [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (...args: A) => Promise<Result<R>> : never;
};
type Result<R> = R extends Generator<void, infer T> ? T : R;

/** Makes a call, and does something before or after it. */
export type Around = <T>(call: () => Promise<T>) => Promise<T>;

interface Waiting {
  resolve: (result: unknown) => void;
  reject: (error: Error) => void;
  /** How the call fails when the thread dies. */
  ifDead: CatalogFailure;
}

/** Serves one catalog after another. Calls run in their order; while one pauses, the next begin. */
export class CatalogThread<R extends Role> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #onDeath: (error: Error) => void;
  /** What goes out with the next message. */
  #unsent: Request[] = [];
  #nextId = 0;
  #state: 'running' | 'stopping' | 'dead' = 'running';

  /** Calls `onDeath` when the thread ends without `stop`, once all its calls have rejected. */
  constructor(role: R, gate: Gate, onDeath: (error: Error) => void) {
    this.#onDeath = onDeath;
    // Flags of the host program, such as --input-type, must not apply to this file.
    const options = {
      workerData: { role, gate: gate.memory } satisfies ThreadData,
      name: `catalog-${role}`,
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
    };
    this.#worker = new Worker(WORKER, options);
    this.#worker.on('message', (answers: Answer[]) => {
      for (const answer of answers) this.#settle(answer);
    });
    let cause: unknown;
    this.#worker.on('error', (error) => {
      cause = error;
    });
    this.#worker.on('exit', () => this.#die(cause));
  }

  get isDead(): boolean {
    return this.#state === 'dead';
  }

  /** Directs the calls from now on to the catalog in this file. Requires that the one before is closed. */
  use(file: CatalogFile): void {
    this.#send({ use: file });
  }

  /**
   * Calls a method of the role's class. Rejects with what that throws, or with a CatalogError `ifDead` when the thread
   * dies.
   */
  call<M extends MethodName<R>>(
    method: M,
    args: Parameters<Remote<Classes[R]>[M]>,
    ifDead: CatalogFailure = 'definite',
  ): ReturnType<Remote<Classes[R]>[M]> {
    const answer = new Promise((resolve, reject) => {
      if (this.isDead) throw new CatalogError('definite', 'the thread of the catalog has ended');
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve, reject, ifDead });
      this.#send({ id, method, args });
    });
    return answer as ReturnType<Remote<Classes[R]>[M]>;
  }

  /** Returns functions that call these methods, each within `around`. */
  methods<M extends MethodName<R>>(
    names: readonly M[],
    around: Around = (call) => call(),
    ifDead?: CatalogFailure,
  ): Pick<Remote<Classes[R]>, M> {
    const entries = names.map((name) => [
      name,
      (...args: Parameters<Remote<Classes[R]>[M]>) => around(() => this.call(name, args, ifDead)),
    ]);
    return Object.fromEntries(entries) as Pick<Remote<Classes[R]>, M>;
  }

  /** Ends the thread. Requires that its connection is closed. */
  async stop(): Promise<void> {
    if (this.#state !== 'running') return;
    this.#state = 'stopping';
    const exited = once(this.#worker, 'exit');
    await this.#worker.terminate();
    await exited;
  }

  /** To wake the thread takes longer than most calls: all of a turn of the event loop go in one message. */
  #send(request: Request): void {
    this.#unsent.push(request);
    if (this.#unsent.length > 1) return;
    setImmediate(() => {
      const requests = this.#unsent;
      this.#unsent = [];
      this.#worker.postMessage(requests);
    });
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ('error' in answer) waiting?.reject(revive(answer.error));
    else waiting?.resolve(answer.result);
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
  if ('reason' in error) return new StorageError(error.reason, error.message, { retryAfterMs: error.retryAfterMs });
  return 'kind' in error
    ? new StoreOpenError(error.kind, error.message)
    : new CatalogError(error.failure, error.message);
}
