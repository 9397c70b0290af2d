/** `image-storage mcp`: serves the images to an assistant, over stdin and stdout. */
import { realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { clientAddress } from '../config/process.ts';
import { EXIT } from '../exit-codes.ts';
import { HOST_NAMES, hostConfig } from '../mcp/host-config.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './shared/connection.ts';
import { parseCutoff, parseInstant, parseRangeEnd } from './shared/dates.ts';
import { printLine } from './terminal/text.ts';

interface McpFlags extends AddressFlags {
  allowDir?: string;
  readOnly?: boolean;
  printConfig?: string;
}

const dates = {
  parseCutoff,
  parseInstant: (text: string) => parseInstant(text),
  parseRangeEnd: (text: string) => parseRangeEnd(text),
};

export function registerMcp(program: Command): void {
  const command = program
    .command('mcp')
    .description('serve the images to an assistant: an MCP server on stdin and stdout')
    .option('--allow-dir <folder>', 'let it save image files that lie in this folder')
    .option('--read-only', 'let it look only, not save or delete')
    .addOption(new Option('--print-config <host>', 'only print how to add this server there').choices(HOST_NAMES))
    .action((flags: McpFlags) => {
      const { printConfig } = flags;
      return printConfig === undefined ? mcp(flags, program.version() ?? '') : print(printConfig, flags);
    });
  withAddress(command);
}

async function mcp({ allowDir, readOnly, ...connection }: McpFlags, version: string): Promise<void> {
  const { address = clientAddress() } = connection;
  const folder = allowDir === undefined ? undefined : await realFolder(allowDir);
  // Loaded here, so that no other command waits for it.
  const { serveMcp } = await import('../mcp/server.ts');
  const serve = async ({ client, signal }: Session) => {
    await serveMcp({ client, address, version, dates, allowDir: folder, readOnly }, signal);
    return EXIT.OK;
  };
  // Keeps the client's default retries: an assistant can wait until a daemon has restarted.
  await withClient({ ...connection, address }, serve, {});
}

/** Hosts run in no shell of the user's: all paths are absolute, those of this Node and of this program, too. */
async function print(host: string, { address, allowDir, readOnly, ca }: McpFlags): Promise<void> {
  const flags = [
    ...['--address', address ?? clientAddress()],
    ...(ca === undefined ? [] : ['--ca', resolve(ca)]),
    ...(allowDir === undefined ? [] : ['--allow-dir', await realFolder(allowDir)]),
    ...(readOnly ? ['--read-only'] : []),
  ];
  const launch = { command: process.execPath, args: [resolve(process.argv[1]!), 'mcp', ...flags] };
  await printLine(hostConfig(host, launch));
}

async function realFolder(path: string): Promise<string> {
  const real = await realpath(path);
  if (!(await stat(real)).isDirectory()) throw new InvalidArgumentError(`--allow-dir: ${path} is no folder`);
  return real;
}
