/** Interprets large blocks in a thread of its own, so that other work goes on meanwhile. */
import { Worker } from 'node:worker_threads';
import type { EmbeddedMetadata } from './embedded-metadata.ts';
import type { Blocks } from './metadata-blocks.ts';

/** The built package is flat; its worker is an entry of its own. */
const WORKER = import.meta.url.endsWith('.ts')
  ? new URL('./worker.ts', import.meta.url)
  : new URL('./embedded-worker.js', import.meta.url);

/** The thread ends when it had nothing to do for so long. */
const IDLE_MS = 10_000;
/** Far above what any file costs; a thread that takes longer is ended. */
const DEADLINE_MS = 10_000;
const MAX_HEAP_MB = 256;

let worker: Worker | undefined;
let idle: NodeJS.Timeout | undefined;
let last: Promise<unknown> = Promise.resolve();

/** Runs after those that were called before. Returns nothing where the thread dies of it or takes too long. */
export function interpretApart(blocks: Blocks): Promise<EmbeddedMetadata> {
  const result = last.then(() => run(blocks));
  last = result.catch(() => undefined);
  return result;
}

async function run(blocks: Blocks): Promise<EmbeddedMetadata> {
  clearTimeout(idle);
  worker ??= start();
  const found = await answerOf(worker, blocks);
  if (found === undefined) stop();
  worker?.unref();
  idle = setTimeout(stop, IDLE_MS).unref();
  return found ?? {};
}

function start(): Worker {
  // Flags of the host program, such as --input-type, must not apply to this file.
  const started = new Worker(WORKER, {
    name: 'embedded-metadata',
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  // A thread that dies between two calls is replaced by the next.
  started.on('error', () => undefined);
  started.on('exit', () => {
    if (worker === started) worker = undefined;
  });
  return started;
}

function stop(): void {
  void worker?.terminate();
  worker = undefined;
}

/** Returns undefined when the thread dies, or takes too long. */
function answerOf(thread: Worker, blocks: Blocks): Promise<EmbeddedMetadata | undefined> {
  const { promise, resolve } = Promise.withResolvers<EmbeddedMetadata | undefined>();
  const fail = () => resolve(undefined);
  const deadline = setTimeout(fail, DEADLINE_MS);
  thread.ref();
  thread.once('message', resolve);
  thread.once('exit', fail);
  thread.postMessage(copyOf(blocks));
  return promise.finally(() => {
    clearTimeout(deadline);
    thread.off('message', resolve);
    thread.off('exit', fail);
  });
}

/** A part of a buffer would take the whole of it along. */
function copyOf({ exif, xmp, comment, texts }: Blocks): Partial<Record<keyof Blocks, unknown>> {
  const [exifCopy, xmpCopy, commentCopy] = [exif, xmp, comment].map((bytes) => bytes && new Uint8Array(bytes));
  return { exif: exifCopy, xmp: xmpCopy, comment: commentCopy, texts };
}
