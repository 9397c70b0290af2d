/** `image-storage get`: writes an image to a file, whole or not at all, or to stdout. */
import { once } from 'node:events';
import { link, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Command } from 'commander';
import { nanoid } from 'nanoid';
import type { StoredImage } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './connection.ts';
import { displayText, formatBytes, printError } from './terminal.ts';

interface GetFlags extends AddressFlags {
  output?: string;
  provider?: string;
  force?: boolean;
}

const STDOUT = '-';

export function registerGet(program: Command): void {
  const command = program
    .command('get')
    .description('read an image; its sha256 is checked')
    .argument('<filename>')
    .option('-o, --output <file>', '- is stdout (default: ./FILENAME, or stdout when that is no terminal)')
    .option('--force', 'overwrite the file')
    .option('--provider <name>')
    .action((filename: string, flags: GetFlags) => withClient(flags, (session) => getImage(session, filename, flags)));
  withAddress(command);
}

async function getImage({ client, signal }: Session, filename: string, flags: GetFlags): Promise<number> {
  const output = flags.output ?? (process.stdout.isTTY ? `./${basename(filename)}` : STDOUT);
  if (output !== STDOUT && !flags.force && (await exists(output))) return refuseToOverwrite(output);
  const stored = await client.get(filename, { provider: flags.provider, signal });
  if (output === STDOUT) await writeToStdout(stored.body);
  else if (!(await writeToFile(stored.body, output, flags.force ?? false))) return refuseToOverwrite(output);
  if (output !== STDOUT) process.stderr.write(`${displayText(output)}  ${formatBytes(stored.image.size)}\n`);
  return EXIT.OK;
}

async function writeToStdout(body: StoredImage['body']): Promise<void> {
  for await (const chunk of body) {
    if (!process.stdout.write(chunk)) await once(process.stdout, 'drain');
  }
}

/** Under another name until all of it is there and checked. False: the target has come into being meanwhile. */
async function writeToFile(body: StoredImage['body'], target: string, overwrite: boolean): Promise<boolean> {
  const part = join(dirname(target), `.${basename(target)}.${nanoid(6)}.part`);
  try {
    await using file = await open(part, 'wx');
    for await (const chunk of body) await file.writeFile(chunk);
    await (overwrite ? rename(part, target) : link(part, target));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(part, { force: true });
  }
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function refuseToOverwrite(path: string): number {
  printError(`${path} exists; --force overwrites it`);
  return EXIT.IO;
}
