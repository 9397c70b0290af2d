/** The thread of one SQLite connection: runs the calls that thread.ts sends, and others while one of them pauses. */
import { parentPort, workerData } from 'node:worker_threads';
import { StorageError, StoreOpenError } from '../../domain/errors.ts';
import { toCatalogError } from './connection.ts';
import { Gate } from './gate.ts';
import type { Answer, Call, Request, ThreadData } from './messages.ts';
import type { CatalogFile } from './opening.ts';
import { CatalogReader } from './reader.ts';
import { Turns } from './turns.ts';
import { CatalogWriter } from './writer.ts';

type Methods = Record<string, (...args: readonly unknown[]) => unknown>;

const { role, gate: memory } = workerData as ThreadData;
const gate = new Gate(memory);
/** Runs a call, or a slice of one. */
const within = role === 'reader' ? <T>(slice: () => T) => gate.read(slice) : <T>(slice: () => T) => slice();
const turns = new Turns(within);
let catalog: Methods = {};

parentPort!.on('message', async (request: Request) => {
  if ('use' in request) catalog = open(request.use) as unknown as Methods;
  else parentPort!.postMessage(await answer(request));
});

function open(file: CatalogFile): CatalogReader | CatalogWriter {
  return role === 'reader' ? new CatalogReader(file) : new CatalogWriter(file, gate);
}

async function answer({ id, method, args }: Call): Promise<Answer> {
  try {
    return { id, result: await finish(within(() => catalog[method]!(...args))) };
  } catch (error) {
    if (error instanceof StoreOpenError) return { id, error: { kind: error.kind, message: error.message } };
    if (error instanceof StorageError) {
      const { reason, message, retryAfterMs } = error;
      return { id, error: { reason, message, retryAfterMs } };
    }
    const { failure, message } = toCatalogError(error);
    return { id, error: { failure, message } };
  }
}

/** A method that pauses is a generator, which has done nothing yet. */
function finish(result: unknown): unknown {
  return typeof (result as Generator | undefined)?.next === 'function' ? turns.finish(result as Generator) : result;
}
