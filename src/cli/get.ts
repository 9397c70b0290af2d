/** `image-storage get`: writes an image to a file, whole or not at all, or to stdout. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import type { StoredImage } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './shared/connection.ts';
import { fullName, getNamed, IMAGE_ARGUMENT } from './shared/image-names.ts';
import { writeWhole } from './shared/write-whole.ts';
import { displayText, formatBytes, printError } from './terminal/text.ts';

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
    .argument('<filename>', IMAGE_ARGUMENT)
    .option('-o, --output <file>', '- is stdout (default: ./FILENAME, or stdout when that is no terminal)')
    .option('--force', 'overwrite the file')
    .option('--provider <name>')
    .action((filename: string, flags: GetFlags) => withClient(flags, (session) => getImage(session, filename, flags)));
  withAddress(command);
}

async function getImage({ client, signal }: Session, typed: string, flags: GetFlags): Promise<number> {
  if (flags.output === STDOUT && process.stdout.isTTY) {
    printError('a terminal shows no image: name a file after -o');
    return EXIT.USAGE;
  }
  const filename = await fullName(client, typed, { provider: flags.provider, signal });
  const output = flags.output ?? (process.stdout.isTTY ? `./${basename(filename)}` : STDOUT);
  const target = output === STDOUT ? STDOUT : await resolveLinks(output);
  const kind = target === STDOUT ? 'stream' : await kindOf(target);
  if (kind === 'folder') return refuse(`${output} is a folder`);
  if (kind === 'file' && !flags.force) return refuseToOverwrite(output);
  const stop = new AbortController();
  try {
    const bothSignals = AbortSignal.any([signal, stop.signal]);
    const stored = await getNamed(client, filename, { provider: flags.provider, signal: bothSignals });
    if (target === STDOUT) await writeToStdout(stored.body);
    else if (kind === 'stream') await pipeline(stored.body, createWriteStream(target, { flags: 'w' }));
    else if (!(await writeWhole(stored.body, target, { overwrite: flags.force }))) return refuseToOverwrite(output);
    if (target !== STDOUT) process.stderr.write(`${displayText(output)}  ${formatBytes(stored.image.size)}\n`);
    return EXIT.OK;
  } finally {
    // A body that is not read to its end would keep its call open.
    stop.abort();
  }
}

/** Returns the target of a link, so that the link itself is not replaced. */
function resolveLinks(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}

/** Returns what is at the path. A pipe or a device is a `stream`: written into, not replaced by a file. */
async function kindOf(path: string): Promise<'none' | 'file' | 'folder' | 'stream'> {
  const stats = await stat(path).catch(() => undefined);
  if (stats === undefined) return 'none';
  if (stats.isDirectory()) return 'folder';
  return stats.isFile() ? 'file' : 'stream';
}

async function writeToStdout(body: StoredImage['body']): Promise<void> {
  for await (const chunk of body) {
    if (!process.stdout.write(chunk)) await once(process.stdout, 'drain');
  }
}

function refuseToOverwrite(path: string): number {
  return refuse(`${path} exists; --force overwrites it`);
}

function refuse(problem: string): number {
  printError(problem);
  return EXIT.IO;
}
