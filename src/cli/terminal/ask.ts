/** Asks the user a question on the terminal. */
import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';

/** Returns whether a user is there to answer. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}

/** `cancelled`: by Ctrl-C or Ctrl-D, or by a signal. */
export type Answer = 'yes' | 'no' | 'cancelled';

/** Asks on stderr; only `y` and `yes` mean yes. */
export async function ask(question: string, signal?: AbortSignal): Promise<Answer> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // The end of input counts as no answer.
  const closed = once(terminal, 'close').then(() => undefined);
  try {
    const answer = await Promise.race([terminal.question(`${question} [y/N] `, { signal }), closed]);
    if (answer === undefined) return cancelled();
    return /^y(es)?$/i.test(answer.trim()) ? 'yes' : 'no';
  } catch (error) {
    // By the signal, or by readline itself at a Ctrl-C and a Ctrl-D.
    if ((error as Error).name === 'AbortError') return cancelled();
    throw error;
  } finally {
    terminal.close();
  }
}

/** What is printed next begins on a line of its own. */
function cancelled(): Answer {
  process.stderr.write('\n');
  return 'cancelled';
}
