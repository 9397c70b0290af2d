/** The thread of one SQLite connection: runs the calls that thread.ts sends, and others while one of them pauses. */
import { parentPort, workerData } from 'node:worker_threads';
import { StorageError, StoreOpenError } from '../../domain/errors.ts';
import { toCatalogError } from './connection.ts';
import { Gate } from './gate.ts';
import type { Answer, Call, PlainError, Request, ThreadData } from './messages.ts';
import type { CatalogFile } from './opening.ts';
import { CatalogReader } from './reader.ts';
import { Turns } from './turns.ts';
import { CatalogWriter } from './writer.ts';

/** Answers of one message wait for each other, but no longer. */
const TOGETHER_MS = 1;

type Methods = Record<string, (...args: readonly unknown[]) => unknown>;

const { role, gate: memory } = workerData as ThreadData;
const gate = new Gate(memory);
/** Runs a call, or a slice of one. */
const within = role === 'reader' ? <T>(slice: () => T) => gate.read(slice) : <T>(slice: () => T) => slice();
const turns = new Turns(within);
let catalog: Methods = {};

parentPort!.on('message', (requests: Request[]) => {
  let answers: Answer[] = [];
  let begun = performance.now();
  const send = () => {
    if (answers.length > 0) parentPort!.postMessage(answers);
    answers = [];
    begun = performance.now();
  };
  for (const request of requests) {
    if ('use' in request) {
      catalog = open(request.use) as unknown as Methods;
      continue;
    }
    const answered = answer(request);
    if (answered instanceof Promise) answered.then((later) => parentPort!.postMessage([later]));
    else answers.push(answered);
    if (performance.now() - begun > TOGETHER_MS) send();
  }
  send();
});

function open(file: CatalogFile): CatalogReader | CatalogWriter {
  return role === 'reader' ? new CatalogReader(file) : new CatalogWriter(file, gate);
}

function answer({ id, method, args }: Call): Answer | Promise<Answer> {
  const failed = (error: unknown): Answer => ({ id, error: plain(error) });
  try {
    const result = within(() => catalog[method]!(...args));
    if (!pauses(result)) return { id, result };
    return turns.finish(result).then((finished) => ({ id, result: finished }), failed);
  } catch (error) {
    return failed(error);
  }
}

/** A method that pauses is a generator, which has done nothing yet. */
function pauses(result: unknown): result is Generator {
  return typeof (result as Generator | undefined)?.next === 'function';
}

function plain(error: unknown): PlainError {
  if (error instanceof StoreOpenError) return { kind: error.kind, message: error.message };
  if (error instanceof StorageError) {
    const { reason, message, retryAfterMs } = error;
    return { reason, message, retryAfterMs };
  }
  const { failure, message } = toCatalogError(error);
  return { failure, message };
}
