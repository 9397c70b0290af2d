/** What the client commands share: the address, the connection, and an end that says in one line what failed. */
import { type Command, InvalidArgumentError } from 'commander';
import { ADDRESS_FORMS, DEFAULT_ADDRESS, parseAddress } from '../../address.ts';
import type { ConnectOptions, ImageStorageClient } from '../../client.ts';
import { clientAddress } from '../../config.ts';
import { printError } from '../terminal/text.ts';
import { failureOf } from './errors.ts';

export interface AddressFlags {
  address?: string;
}

/** What a command works with. */
export interface Session {
  client: ImageStorageClient;
  /** Fires when the user interrupts the command. */
  signal: AbortSignal;
  /** Prints the failure and returns its exit code; a bug is thrown on. `subject`, such as a file, is named. */
  report(error: unknown, subject?: string): number;
}

/** Somebody waits for the answer; Save, which must not lose an image, tries longer. */
const COMMAND_RETRIES = 2;
/** A wait that is worth a line. */
const NOTICEABLE_MS = 1_000;
/** npm passes Ctrl-C on to a process that the terminal has told already: that is one signal, not two. */
const SAME_SIGNAL_MS = 500;
/** What shells expect of a command that was interrupted: 128 + SIGINT. */
export const INTERRUPTED = 130;

/** Adds `--address`. */
export function withAddress(command: Command): Command {
  const meaning = `the daemon, host:port or unix:PATH (default: IMAGE_STORAGE_ADDRESS, else ${DEFAULT_ADDRESS})`;
  return command.option('--address <address>', meaning, checkAddress);
}

function checkAddress(text: string): string {
  if (parseAddress(text) === undefined) throw new InvalidArgumentError(`expected ${ADDRESS_FORMS}`);
  return text;
}

/** Runs the work with a client and sets the process's exit code: what the work returns, or that of its failure. */
export async function withClient(
  flags: AddressFlags,
  work: (session: Session) => Promise<number>,
  options: ConnectOptions = { retries: COMMAND_RETRIES },
): Promise<void> {
  // Loaded here, so that no command waits for gRPC that does not need it.
  const { connect } = await import('../../client.ts');
  const address = flags.address ?? clientAddress();
  const client = connect(address, { onRetry: noticeRetries(address), ...options });
  const signal = listenForInterrupt();
  const report = (error: unknown, subject?: string) => {
    const failure = signal.aborted ? { message: 'interrupted', exitCode: INTERRUPTED } : failureOf(error, address);
    if (!failure) throw error;
    // As the errors of Node name a file.
    const named = subject === undefined || failure.message.includes(`${subject}'`);
    printError(named ? failure.message : `${subject}: ${failure.message}`);
    return failure.exitCode;
  };
  try {
    process.exitCode = await work({ client, signal, report });
  } catch (error) {
    process.exitCode = report(error);
  } finally {
    client.close();
  }
}

/** The first signal lets the command tidy up, a later one ends it at once. */
export function listenForInterrupt(): AbortSignal {
  const interrupt = new AbortController();
  const onSignal = () => {
    interrupt.abort();
    setTimeout(() => process.off('SIGINT', onSignal).off('SIGTERM', onSignal), SAME_SIGNAL_MS).unref();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return interrupt.signal;
}

/** Several files that wait for the same daemon are one notice. */
function noticeRetries(address: string): ConnectOptions['onRetry'] {
  let noticedAt = 0;
  return (error, delayMs) => {
    if (delayMs < NOTICEABLE_MS || Date.now() - noticedAt < NOTICEABLE_MS) return;
    noticedAt = Date.now();
    printError(`${failureOf(error, address)?.message}; trying again in ${Math.round(delayMs / 1000)} s`);
  };
}
