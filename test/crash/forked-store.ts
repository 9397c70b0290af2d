/** The test's end of a store process: its commands as functions, its death as an error. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { inject } from 'vitest';
import { StorageError } from '../../src/storage/index.ts';
import type { Call, Commands, Reply, StoreProcessOptions } from './store-process.ts';

export interface ForkedStore extends Commands {
  /** Resolves with the exit code, or the name of the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** SIGKILL; resolves once the process is gone. */
  kill(): Promise<void>;
}

/** The process died before it answered. */
export class ProcessGone extends Error {
  override readonly name = 'ProcessGone';
  readonly how: number | string;

  constructor(how: number | string) {
    super(`the store process ended: ${how}`);
    this.how = how;
  }
}

/** The store refused to open. */
export class OpenRefused extends Error {
  override readonly name = 'OpenRefused';
  readonly kind: string;

  constructor(kind: string, message: string) {
    super(message);
    this.kind = kind;
  }
}

type Waiting = { resolve: (value: never) => void; reject: (error: Error) => void };

const COMMANDS = [
  'save',
  'update',
  'delete',
  'restore',
  'purge',
  'listTrash',
  'cleanup',
  'list',
  'read',
  'stats',
  'health',
  'failSyncOf',
  'pid',
  'settled',
  'close',
] as const;

/** Resolves once the store is open; rejects with OpenRefused, or ProcessGone when it crashed on the way. */
export async function forkStore(options: StoreProcessOptions): Promise<ForkedStore> {
  const child = startProcess(options);
  // Its last words may arrive after its end.
  const gone = Promise.all([once(child, 'exit'), once(child, 'disconnect')]);
  const ended = gone.then(([[code, signal]]) => (signal ?? code) as number | string);
  const waiting = new Map<number, Waiting>();
  const opened = new Promise<void>((resolve, reject) => {
    waiting.set(0, { resolve, reject });
    child.on('message', (reply: Reply) => settle(waiting, reply));
  });
  const rejectAll = (error: Error) => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  ended.then((how) => rejectAll(new ProcessGone(how)), rejectAll);
  await opened;
  return { ...callsTo(child, waiting), ended, kill: () => killProcess(child, ended) };
}

function startProcess(options: StoreProcessOptions): ChildProcess {
  return fork(join(inject('bundle'), 'dist/store-process.js'), [JSON.stringify(options)], {
    execArgv: [],
    serialization: 'advanced',
  });
}

function callsTo(child: ChildProcess, waiting: Map<number, Waiting>): Commands {
  let lastId = 0;
  const call =
    (method: Call['method']) =>
    (...args: unknown[]) =>
      new Promise<never>((resolve, reject) => {
        lastId += 1;
        const id = lastId;
        waiting.set(id, { resolve, reject });
        const how = child.signalCode ?? child.exitCode;
        if (how === null) child.send({ id, method, args } satisfies Call, () => undefined);
        else settle(waiting, { id, gone: how });
      });
  return Object.fromEntries(COMMANDS.map((method) => [method, call(method)])) as unknown as Commands;
}

function settle(waiting: Map<number, Waiting>, reply: Reply | { id: number; gone: number | string }): void {
  const id = 'opened' in reply ? 0 : reply.id;
  const call = waiting.get(id);
  waiting.delete(id);
  if ('gone' in reply) {
    call?.reject(new ProcessGone(reply.gone));
  } else if ('reason' in reply) {
    call?.reject(new StorageError(reply.reason, reply.message, { outcomeUnknown: reply.outcomeUnknown }));
  } else if ('opened' in reply && !reply.opened) {
    call?.reject(new OpenRefused(reply.kind, reply.message));
  } else {
    call?.resolve(('value' in reply ? reply.value : undefined) as never);
  }
}

async function killProcess(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  child.kill('SIGKILL');
  await ended;
}
