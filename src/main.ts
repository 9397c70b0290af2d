/** The command `image-storage`: its subcommands, and the one place where a failure becomes a line and an exit code. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { systemMessage } from './cli/shared/errors.ts';
import { withExamples } from './cli/shared/examples.ts';
import { escapeText } from './cli/terminal/text.ts';
import { ConfigError, folderOfCaller, processEnvironment } from './config/process.ts';
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
    await (await createProgram(argv[2])).parseAsync(argv);
  } catch (error) {
    process.exitCode = report(error);
  }
}

type Register = (program: Command) => void;

/** The groups of the help, and their subcommands. */
const GROUPS: Record<string, Record<string, () => Promise<Register>>> = {
  'Bring images in:': {
    save: async () => (await import('./cli/save.ts')).registerSave,
    import: async () => (await import('./cli/import.ts')).registerImport,
  },
  'Find and look:': {
    list: async () => (await import('./cli/list.ts')).registerList,
    show: async () => (await import('./cli/show.ts')).registerShow,
    open: async () => (await import('./cli/open.ts')).registerOpen,
    get: async () => (await import('./cli/get.ts')).registerGet,
    export: async () => (await import('./cli/export.ts')).registerExport,
    stats: async () => (await import('./cli/stats.ts')).registerStats,
  },
  'Keep and let go:': {
    pin: async () => (await import('./cli/pin.ts')).registerPin,
    unpin: async () => (await import('./cli/pin.ts')).registerUnpin,
    tag: async () => (await import('./cli/tag.ts')).registerTag,
    delete: async () => (await import('./cli/delete.ts')).registerDelete,
    restore: async () => (await import('./cli/restore.ts')).registerRestore,
    trash: async () => (await import('./cli/trash.ts')).registerTrash,
    cleanup: async () => (await import('./cli/cleanup.ts')).registerCleanup,
  },
  'Run the daemon:': {
    serve: async () => (await import('./cli/serve.ts')).registerServe,
    health: async () => (await import('./cli/health.ts')).registerHealth,
    doctor: async () => (await import('./cli/doctor.ts')).registerDoctor,
    config: async () => (await import('./cli/config.ts')).registerConfig,
    token: async () => (await import('./cli/token.ts')).registerToken,
  },
  'Look after stores:': {
    verify: async () => (await import('./cli/verify.ts')).registerVerify,
    copy: async () => (await import('./cli/copy.ts')).registerCopy,
    catalog: async () => (await import('./cli/catalog.ts')).registerCatalog,
  },
  'For other programs:': {
    mcp: async () => (await import('./cli/mcp.ts')).registerMcp,
    completion: async () => (await import('./cli/completion.ts')).registerCompletion,
  },
};
/** It completes all of them. */
const NEEDS_ALL = 'completion';
const NEED_NONE = ['-V', '--version'];

/**
 * Returns the command line; exported for the test of its examples. Where its first argument is given and is a
 * subcommand, only that is loaded: to load all takes longer than most of them work.
 */
export async function createProgram(first = ''): Promise<Command> {
  const program = new Command('image-storage')
    .description('Keeps generated images: stream one in, find it again.')
    .version(version())
    // What follows a subcommand is the subcommand's.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(usageError(text)) });
  const isKnown = Object.values(GROUPS).some((group) => Object.hasOwn(group, first));
  const isAlone = NEED_NONE.includes(first) || (isKnown && first !== NEEDS_ALL);
  for (const [heading, group] of Object.entries(GROUPS)) {
    program.commandsGroup(heading);
    for (const [name, load] of Object.entries(group)) {
      if (!isAlone || name === first) (await load())(program);
    }
  }
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
