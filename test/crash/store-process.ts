/** A local store in a process of its own, driven over IPC, so that tests can kill it, crash it at a step or break its disk. */
import fs, { readlinkSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { buffer } from 'node:stream/consumers';
import { setEnvironmentData, type Worker } from 'node:worker_threads';
import { shortId } from '../../src/storage/domain/naming.ts';
import {
  type DeleteOptions,
  type ImageChanges,
  type ImageMetadata,
  type SaveOptions,
  type Storage,
  StorageError,
  StoreOpenError,
} from '../../src/storage/index.ts';
import { openStorage } from '../../src/storage/storage.ts';
import { untilNothingIsStaged } from '../support/files.ts';

export interface StoreProcessOptions {
  basePath: string;
  /** SIGKILL to itself, or the end of the catalog's threads, when this step is reached for the nth time (from 1). */
  crash?: { step: string; nth: number; only?: 'threads' };
  /** Short ids to hand out before random ones. */
  shortIds?: string[];
  /** `NORMAL` shows the teeth of the power-cut test. */
  synchronous?: 'FULL' | 'NORMAL';
  /** `fdatasync` of file handles does nothing, to the same end. */
  withoutDatasync?: boolean;
  /** For how many days a deleted image can be brought back; default that of the product. */
  trashDays?: number;
}

export interface Call {
  id: number;
  method: keyof Commands;
  args: unknown[];
}

export type Reply =
  | { opened: true }
  | { opened: false; kind: string; message: string }
  | { id: number; value: unknown }
  | { id: number; reason: StorageError['reason']; message: string; outcomeUnknown: boolean };

/** What its catalog's threads share with it. */
export interface Checkpoints {
  /** How often a log was about to be emptied. */
  reached: Int32Array<SharedArrayBuffer>;
  /** The time (from 1) at which the process kills itself. */
  crashAt: number | undefined;
}

export type Commands = ReturnType<typeof commandsOf>;

const CHUNK_BYTES = 16 * 1024;
const EXIT_IO = 74;
/** Of the catalog's threads, where no failpoint is called. */
const CHECKPOINT = 'log-to-be-emptied';

const threads: Worker[] = [];
process.on('worker', (thread) => threads.push(thread));

let failingSync: string | undefined;

function commandsOf(storage: Storage, basePath: string, stepsUntilNow: () => string[]) {
  return {
    save: (bytes: Uint8Array, metadata: ImageMetadata, options?: SaveOptions) =>
      storage.save(chunksOf(bytes), metadata, options),
    update: (filename: string, changes: ImageChanges) => storage.update(filename, changes),
    delete: (filename: string, options?: DeleteOptions) => storage.delete(filename, options),
    restore: (filename: string) => storage.restore(filename),
    purge: (filename: string) => storage.purge({ filenames: [filename] }),
    listTrash: async () => storage.listTrash(),
    cleanup: (options: Parameters<Storage['cleanup']>[0]) => storage.cleanup(options),
    list: async () => storage.list(),
    read: async (filename: string) => buffer((await storage.get(filename)).body),
    stats: async () => (await storage.getStatistics())[0]!,
    health: async () => storage.health().local!,
    /** The next sync of a file or folder whose path ends so fails with EIO. SQLite's own syncs are out of reach here. */
    failSyncOf: async (pathEnd: string) => {
      failingSync = pathEnd;
    },
    pid: async () => process.pid,
    /** Resolves once what follows the last answer is done. */
    settled: () => untilNothingIsStaged(basePath),
    /** Ends the process, too. Resolves with every step that was reached, in order; those of the threads come last. */
    close: async () => {
      await storage.close();
      return stepsUntilNow();
    },
  };
}

function* chunksOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
}

async function serve(options: StoreProcessOptions): Promise<void> {
  const steps: string[] = [];
  await breakSyncs(options.withoutDatasync ?? false);
  const { reached } = watchCheckpoints(options.crash);
  const storage = await openStore(options, steps);
  if (storage === undefined) return process.disconnect();
  const commands = commandsOf(storage, options.basePath, () => [
    ...steps,
    ...Array.from({ length: reached[0]! }, () => CHECKPOINT),
  ]);
  process.on('message', async ({ id, method, args }: Call) => {
    const reply = await answer(id, () => (commands[method] as (...args: unknown[]) => Promise<unknown>)(...args));
    process.send!(reply, () => {
      if (method === 'close') process.disconnect();
    });
  });
  process.send!({ opened: true } satisfies Reply);
}

function watchCheckpoints(crash: StoreProcessOptions['crash']): Checkpoints {
  const checkpoints = {
    reached: new Int32Array(new SharedArrayBuffer(4)),
    crashAt: crash?.step === CHECKPOINT ? crash.nth : undefined,
  };
  setEnvironmentData('checkpoints', checkpoints);
  // The threads take this from the environment, and no flags of the process.
  process.env.NODE_OPTIONS = `--import ${new URL('./checkpoint-steps.js', import.meta.url)}`;
  return checkpoints;
}

async function openStore(options: StoreProcessOptions, steps: string[]): Promise<Storage | undefined> {
  const { basePath, crash, synchronous, shortIds = [], trashDays } = options;
  const trash = trashDays === undefined ? {} : { days: trashDays };
  let left = crash?.nth ?? 0;
  const failpoint = (step: string) => {
    steps.push(step);
    if (step !== crash?.step) return;
    left -= 1;
    if (left !== 0) return;
    if (crash.only === 'threads') for (const thread of threads) thread.terminate();
    else process.kill(process.pid, 'SIGKILL');
  };
  try {
    return await openStorage(
      { providers: { local: { basePath, lockWaitSeconds: 10, trash } } },
      {
        failpoint,
        synchronous,
        shortId: () => shortIds.shift() ?? shortId(),
        onFatal: () => setImmediate(() => process.exit(EXIT_IO)),
      },
    );
  } catch (error) {
    if (!(error instanceof StoreOpenError)) throw error;
    process.send!({ opened: false, kind: error.kind, message: error.message } satisfies Reply);
    return undefined;
  }
}

async function answer(id: number, work: () => Promise<unknown>): Promise<Reply> {
  try {
    return { id, value: await work() };
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    const { reason, message, outcomeUnknown } = error;
    return { id, reason, message, outcomeUnknown };
  }
}

/** Returns whether the sync of this descriptor is the one that fails. */
function failsNow(descriptor: number): boolean {
  if (failingSync === undefined || !readlinkSync(`/proc/self/fd/${descriptor}`).endsWith(failingSync)) return false;
  failingSync = undefined;
  return true;
}

function ioError(): Error {
  return Object.assign(new Error('EIO: i/o error, fsync'), { code: 'EIO' });
}

/** Puts faults between the store and what descriptors and file handles do. */
async function breakSyncs(withoutDatasync: boolean): Promise<void> {
  const handle = await open(process.execPath);
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  for (const method of ['sync', 'datasync'] as const) {
    const real = prototype[method];
    prototype[method] = async function (this: FileHandle) {
      if (method === 'datasync' && withoutDatasync) return;
      if (failsNow(this.fd)) throw ioError();
      return real.call(this);
    };
  }
  for (const name of ['fsync', 'fdatasync'] as const) {
    const real = fs[name];
    const broken = (descriptor: number, done: (error: Error | null) => void) => {
      if (name === 'fdatasync' && withoutDatasync) return setImmediate(done, null);
      if (failsNow(descriptor)) return setImmediate(done, ioError());
      return real(descriptor, done);
    };
    Object.assign(fs, { [name]: broken });
  }
  syncBuiltinESMExports();
}

process.on('disconnect', () => process.exit());
await serve(JSON.parse(process.argv[2]!) as StoreProcessOptions);
