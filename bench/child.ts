/**
 * Starts processes that answer questions over IPC, one at a time, so that what is measured has an event loop of its
 * own.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Starts a module that calls `answerParent`; the path is relative to this folder. */
export function startChild(module: string): ChildProcess {
  return fork(fileURLToPath(new URL(module, import.meta.url)), { execArgv: [], serialization: 'advanced' });
}

/** Returns the answer of the child. Rejects when the child ends or fails instead. */
export async function ask<A>(child: ChildProcess, question: object): Promise<A> {
  const answered = new AbortController();
  const ended = once(child, 'exit', answered).then(([code]) => Promise.reject(new Error(`a child ended with ${code}`)));
  ended.catch(() => {});
  child.send(question);
  try {
    const [answer] = await Promise.race([once(child, 'message', answered), ended]);
    return answer;
  } finally {
    answered.abort();
  }
}

/** Answers the questions of the parent. A failure ends the process, as does the end of the parent. */
export function answerParent<Q>(answer: (question: Q) => Promise<unknown>): void {
  process.on('message', async (question: Q) => process.send!(await answer(question)));
  process.on('disconnect', () => process.exit());
}
