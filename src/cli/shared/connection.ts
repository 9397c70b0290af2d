/** What the client commands share: the address, the connection, and the report of a failure in one line. */
import { type Command, InvalidArgumentError } from 'commander';
import { DEFAULT_ADDRESS, parseTarget, TARGET_FORMS } from '../../address.ts';
import type { ConnectOptions, ImageStorageClient } from '../../client.ts';
import { clientAddress } from '../../config/process.ts';
import { EXIT } from '../../exit-codes.ts';
import { printError } from '../terminal/text.ts';
import { failureOf } from './errors.ts';

export interface AddressFlags {
  address?: string;
  ca?: string;
  allowPlaintextToken?: boolean;
}

/** The connection of one command, its interrupt, and its report of failures. */
export interface Session {
  client: ImageStorageClient;
  /** Fires when the user interrupts the command. */
  signal: AbortSignal;
  /**
   * Prints the failure and returns its exit code; throws it when it is a bug. `subject`, such as a file, names the
   * cause.
   */
  report(error: unknown, subject?: string): number;
}

/** Few, since the user waits for the answer; save, which must not lose an image, retries longer. */
const COMMAND_RETRIES = 2;
/** Shorter waits are not reported. */
const NOTICEABLE_MS = 1_000;
/** npm repeats a Ctrl-C that the process already had from the terminal: signals this close count as one. */
const SAME_SIGNAL_MS = 500;

/** Adds `--address`, and how the daemon there is trusted. */
export function withAddress(command: Command): Command {
  const meaning = `the daemon, host:port, unix:PATH or https://host:port (default: IMAGE_STORAGE_ADDRESS, else ${DEFAULT_ADDRESS})`;
  return command
    .option('--address <address>', meaning, checkAddress)
    .option('--ca <file>', 'who signed the certificate of the daemon, in PEM (default: IMAGE_STORAGE_CA_FILE)')
    .option('--allow-plaintext-token', 'send the token to another machine without TLS');
}

function checkAddress(text: string): string {
  if (parseTarget(text) === undefined) throw new InvalidArgumentError(`expected ${TARGET_FORMS}`);
  return text;
}

/** Runs the work with a client and sets the process's exit code, to what the work returns or to that of its failure. */
export async function withClient(
  flags: AddressFlags,
  work: (session: Session) => Promise<number>,
  options: ConnectOptions = { retries: COMMAND_RETRIES },
): Promise<void> {
  // Loaded here, so that only commands that need gRPC wait for it.
  const { connect } = await import('../../client.ts');
  const address = flags.address ?? clientAddress();
  const signal = listenForInterrupt();
  let unknownProvider = false;
  const report = (error: unknown, subject?: string) => {
    unknownProvider ||= (error as { reason?: string }).reason === 'PROVIDER_NOT_FOUND';
    const failure = signal.aborted ? { message: 'interrupted', exitCode: EXIT.INTERRUPTED } : failureOf(error, address);
    if (!failure) throw error;
    // Errors of the file system name their file.
    const named = subject === undefined || failure.message.includes(`${subject}: `);
    printError(named ? failure.message : `${subject}: ${failure.message}`);
    return failure.exitCode;
  };
  let client: ImageStorageClient | undefined;
  try {
    const { ca: caFile, allowPlaintextToken } = flags;
    client = connect(address, { onRetry: noticeRetries(address), caFile, allowPlaintextToken, ...options });
    process.exitCode = await work({ client, signal, report });
  } catch (error) {
    process.exitCode = report(error);
  } finally {
    if (client !== undefined && unknownProvider) await tellProviders(client);
    client?.close();
  }
}

/** Says which providers there are, where the user has named another. */
async function tellProviders(client: ImageStorageClient): Promise<void> {
  const found = await client.stats('*').catch(() => []);
  if (found.length > 0) process.stderr.write(`providers: ${found.map(({ provider }) => provider).join(', ')}\n`);
}

/**
 * Returns a signal that fires at the first SIGINT or SIGTERM, so that the command can clean up; a later one ends it.
 */
export function listenForInterrupt(): AbortSignal {
  const interrupt = new AbortController();
  const onSignal = () => {
    interrupt.abort();
    setTimeout(() => process.off('SIGINT', onSignal).off('SIGTERM', onSignal), SAME_SIGNAL_MS).unref();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return interrupt.signal;
}

/** Returns a callback that reports waits, once for several files that wait for the same daemon. */
function noticeRetries(address: string): ConnectOptions['onRetry'] {
  let noticedAt = 0;
  return (error, delayMs) => {
    if (delayMs < NOTICEABLE_MS || Date.now() - noticedAt < NOTICEABLE_MS) return;
    noticedAt = Date.now();
    printError(`${failureOf(error, address)?.message}; trying again in ${Math.round(delayMs / 1000)} s`);
  };
}
