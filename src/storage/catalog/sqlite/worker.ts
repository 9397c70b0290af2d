/** The thread of one SQLite connection: runs the calls that thread.ts sends, and others while one of them pauses. */
import { setImmediate } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { StoreOpenError } from '../../domain/errors.ts';
import { toCatalogError } from './connection.ts';
import type { Answer, Call, Request, ThreadData } from './messages.ts';
import { CatalogReader } from './reader.ts';
import { CatalogWriter } from './writer.ts';

type Methods = Record<string, (...args: readonly unknown[]) => unknown>;

const { role } = workerData as ThreadData;
const Catalog = { writer: CatalogWriter, reader: CatalogReader }[role];
let catalog: Methods = {};

parentPort!.on('message', async (request: Request) => {
  if ('use' in request) catalog = new Catalog(request.use) as unknown as Methods;
  else parentPort!.postMessage(await answer(request));
});

async function answer({ id, method, args }: Call): Promise<Answer> {
  try {
    return { id, result: await finish(catalog[method]!(...args)) };
  } catch (error) {
    if (error instanceof StoreOpenError) return { id, error: { kind: error.kind, message: error.message } };
    const { failure, message } = toCatalogError(error);
    return { id, error: { failure, message } };
  }
}

async function finish(result: unknown): Promise<unknown> {
  if (typeof (result as Generator | undefined)?.next !== 'function') return result;
  for (const steps = result as Generator; ; await setImmediate()) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}
