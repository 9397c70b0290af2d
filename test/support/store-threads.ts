/**
 * Lets the stores of a process share threads; run before each test file for this effect. To start a thread takes
 * longer than most of what tests do with it: one whose catalog was closed serves the next store, as one catalog after
 * another. One that is ended at any other time ends.
 */
import { EventEmitter } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import threads, { MessageChannel, type MessagePort, type Worker, type WorkerOptions } from 'node:worker_threads';
import { inject } from 'vitest';
import type { Answer, Request } from '../../src/storage/catalog/sqlite/messages.ts';

interface Started {
  worker: Worker;
  control: MessagePort;
  /** How many it has served, whose modules it keeps. */
  stores: number;
}

const Original = threads.Worker;
const source = (path: string) => new URL(`../../src/storage/${path}`, import.meta.url).href;
const built = (name: string) => pathToFileURL(join(inject('bundle'), 'dist', name));
const CATALOG = source('catalog/sqlite/worker.ts');
const EMBEDDED = source('embedded/worker.ts');
/** After these, a thread has no connection. */
const CLOSING = ['close', 'seal'];
const MOST_STORES = 100;

const idle: Started[] = [];

/** What the catalog takes for a worker of its own. */
class StoreThread extends EventEmitter {
  readonly #started: Started;
  readonly #off = new AbortController();
  #unsent: Request[][] | undefined = [];
  readonly #unanswered = new Map<number, string>();
  #isClosed = true;

  constructor({ workerData, ...options }: WorkerOptions) {
    super();
    const reused = idle.pop();
    this.#started = reused ?? start(options);
    this.#started.stores += 1;
    if (reused) process.nextTick(() => (process as EventEmitter).emit('worker', this));
    this.#listen();
    this.#started.worker.ref();
    this.#started.control.postMessage(workerData);
  }

  postMessage(requests: Request[]): void {
    for (const request of requests) {
      if ('id' in request) this.#unanswered.set(request.id, request.method);
      this.#isClosed = false;
    }
    if (this.#unsent) this.#unsent.push(requests);
    else this.#started.worker.postMessage(requests);
  }

  async terminate(): Promise<number> {
    const isDone = this.#isClosed && this.#unsent === undefined && this.#unanswered.size === 0;
    if (!isDone || this.#started.stores >= MOST_STORES) return this.#started.worker.terminate();
    this.#off.abort();
    this.#started.worker.unref();
    idle.push(this.#started);
    process.nextTick(() => this.emit('exit', 0));
    return 0;
  }

  #listen(): void {
    const { worker, control } = this.#started;
    const on = <T>(target: Worker | MessagePort, event: string, act: (value: T) => void) => {
      target.on(event, act);
      this.#off.signal.addEventListener('abort', () => target.off(event, act));
    };
    on(control, 'message', () => this.#begin());
    control.unref();
    on(worker, 'message', (answers: Answer[]) => this.#take(answers));
    on(worker, 'error', (error: Error) => this.emit('error', error));
    on(worker, 'exit', (code: number) => this.emit('exit', code));
  }

  #begin(): void {
    const unsent = this.#unsent ?? [];
    this.#unsent = undefined;
    for (const requests of unsent) this.#started.worker.postMessage(requests);
  }

  #take(answers: Answer[]): void {
    for (const answer of answers) {
      const method = this.#unanswered.get(answer.id)!;
      this.#unanswered.delete(answer.id);
      this.#isClosed = CLOSING.includes(method) && 'result' in answer;
    }
    this.emit('message', answers);
  }
}

function start(options: WorkerOptions): Started {
  const { port1: control, port2 } = new MessageChannel();
  const data = { workerData: port2, transferList: [port2] };
  return { worker: new Original(built('reused-thread.js'), { ...options, ...data }), control, stores: 0 };
}

/** A constructor that gives another object than its own. */
function StoreWorker(script: string | URL, options: WorkerOptions = {}): object {
  if (String(script) === CATALOG) return new StoreThread(options);
  return new Original(String(script) === EMBEDDED ? built('embedded-worker.js') : script, options);
}

// Test files that share a process share this, too.
if (threads.Worker.name !== StoreWorker.name) {
  threads.Worker = StoreWorker as unknown as typeof Worker;
  syncBuiltinESMExports();
}
