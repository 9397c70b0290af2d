/** The command `image-storage`: its subcommands, and the one place where a failure becomes a line and an exit code. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { registerCatalog } from './cli/catalog.ts';
import { registerCleanup } from './cli/cleanup.ts';
import { registerCompletion } from './cli/completion.ts';
import { registerConfig } from './cli/config.ts';
import { registerCopy } from './cli/copy.ts';
import { registerDelete } from './cli/delete.ts';
import { registerDoctor } from './cli/doctor.ts';
import { registerExport } from './cli/export.ts';
import { registerGet } from './cli/get.ts';
import { registerHealth } from './cli/health.ts';
import { registerImport } from './cli/import.ts';
import { registerList } from './cli/list.ts';
import { registerMcp } from './cli/mcp.ts';
import { registerOpen } from './cli/open.ts';
import { registerPin } from './cli/pin.ts';
import { registerRestore } from './cli/restore.ts';
import { registerSave } from './cli/save.ts';
import { registerServe } from './cli/serve.ts';
import { systemMessage } from './cli/shared/errors.ts';
import { withExamples } from './cli/shared/examples.ts';
import { registerShow } from './cli/show.ts';
import { registerStats } from './cli/stats.ts';
import { registerTag } from './cli/tag.ts';
import { escapeText } from './cli/terminal/text.ts';
import { registerToken } from './cli/token.ts';
import { registerTrash } from './cli/trash.ts';
import { registerVerify } from './cli/verify.ts';
import { ConfigError, folderOfCaller, processEnvironment } from './config.ts';
import { EXIT } from './exit-codes.ts';
import { StorageError, StoreOpenError } from './storage/domain/errors.ts';

/** Runs a command line, as in `process.argv`. Sets the exit code of the process and never rejects. */
export async function main(argv: readonly string[]): Promise<void> {
  process.on('uncaughtException', (error) => process.exit(report(error)));
  // `list | head` closes stdout; with stderr closed, nothing can be reported.
  process.stdout.on('error', leaveQuietly);
  process.stderr.on('error', () => {});
  try {
    const folder = folderOfCaller();
    if (folder !== undefined) process.chdir(folder);
    await createProgram().parseAsync(argv);
  } catch (error) {
    process.exitCode = report(error);
  }
}

/** The whole command line; exported for the test of its examples. */
export function createProgram(): Command {
  const program = new Command('image-storage')
    .description('Keeps generated images: stream one in, find it again.')
    .version(version())
    // What follows a subcommand is the subcommand's.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(usageError(text)) });
  program.commandsGroup('Bring images in:');
  registerSave(program);
  registerImport(program);
  program.commandsGroup('Find and look:');
  registerList(program);
  registerShow(program);
  registerOpen(program);
  registerGet(program);
  registerExport(program);
  registerStats(program);
  program.commandsGroup('Keep and let go:');
  registerPin(program);
  registerTag(program);
  registerDelete(program);
  registerRestore(program);
  registerTrash(program);
  registerCleanup(program);
  program.commandsGroup('Run the daemon:');
  registerServe(program);
  registerHealth(program);
  registerDoctor(program);
  registerConfig(program);
  registerToken(program);
  program.commandsGroup('Look after stores:');
  registerVerify(program);
  registerCopy(program);
  registerCatalog(program);
  program.commandsGroup('For other programs:');
  registerMcp(program);
  registerCompletion(program);
  withExamples(program);
  return program;
}

/** Returns the message with what others wrote escaped: a path or a value of a flag must not drive the terminal. */
function messageOf(error: Error): string {
  if (error instanceof ConfigError) return new ConfigError(error.problems.map(escapeText)).message;
  return escapeText(error.message);
}

/** Returns commander's message without what an argument in it could do to a terminal; a suggestion has its own line. */
function usageError(text: string): string {
  const message = text.replace(/^error:/, 'image-storage:').replace(/\n$/, '');
  const suggestion = message.search(/\n\(Did you mean [\w, -]+\?\)$/);
  if (suggestion === -1) return `${escapeText(message)}\n`;
  return `${escapeText(message.slice(0, suggestion))}${message.slice(suggestion)}\n`;
}

function version(): string {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;
}

function leaveQuietly(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
}

interface Failure {
  exitCode: number;
  /** Unset when it has been reported already. */
  message?: string;
}

function report(error: unknown): number {
  const { exitCode, message } = failureOf(error);
  if (message !== undefined) writeLastWords(`image-storage: ${message}\n`);
  if (exitCode === EXIT.BUG && wantsStack()) console.error(error);
  return exitCode;
}

/** The exit code stays when stderr is a file on a full disk, which throws. */
function writeLastWords(text: string): void {
  try {
    process.stderr.write(text);
  } catch {
    // Nobody can be told.
  }
}

function wantsStack(): boolean {
  return /^(debug|trace)$/.test(processEnvironment().IMAGE_STORAGE_LOG_LEVEL ?? '');
}

const EXIT_OF_STORE: Record<StoreOpenError['kind'], number> = {
  locked: EXIT.LOCKED,
  config: EXIT.CONFIG,
  permission: EXIT.PERMISSION,
  io: EXIT.IO,
  unavailable: EXIT.UNAVAILABLE,
};

function failureOf(error: unknown): Failure {
  if (error instanceof InvalidArgumentError) return { exitCode: EXIT.USAGE, message: messageOf(error) };
  if (error instanceof CommanderError) return { exitCode: error.exitCode === 0 ? EXIT.OK : EXIT.USAGE };
  if (error instanceof ConfigError) return { exitCode: EXIT.CONFIG, message: messageOf(error) };
  if (error instanceof StoreOpenError) return { exitCode: EXIT_OF_STORE[error.kind], message: messageOf(error) };
  if (error instanceof StorageError) return { exitCode: EXIT.IO, message: messageOf(error) };
  const code = systemErrorCode(error);
  if (code === undefined) {
    return { exitCode: EXIT.BUG, message: 'internal error (IMAGE_STORAGE_LOG_LEVEL=debug shows where)' };
  }
  const exitCode = code === 'EACCES' || code === 'EPERM' ? EXIT.PERMISSION : EXIT.IO;
  return { exitCode, message: escapeText(systemMessage(error as Error)) };
}

/** Returns the code of the error of the operating system, such as `EADDRINUSE`, among this error and its causes. */
function systemErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, syscall, cause } = error as NodeJS.ErrnoException;
  return syscall === undefined ? systemErrorCode(cause) : code;
}
