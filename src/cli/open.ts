/** `image-storage open`: opens an image's page in the browser, or its file in the viewer of this machine. */
import { spawn } from 'node:child_process';
import { access } from 'node:fs/promises';
import type { Command } from 'commander';
import { pageLink } from '../client/page-link.ts';
import type { Image } from '../client.ts';
import { clientAddress } from '../config/process.ts';
import { EXIT } from '../exit-codes.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './shared/connection.ts';
import { getNamed, IMAGE_ARGUMENT } from './shared/image-names.ts';
import { displayText, printError, printLine } from './terminal/text.ts';

interface OpenFlags extends AddressFlags {
  file?: boolean;
  provider?: string;
}

export function registerOpen(program: Command): void {
  const command = program
    .command('open')
    .description("open an image in the browser, on the gallery's page of it")
    .argument('<filename>', IMAGE_ARGUMENT)
    .option('--file', 'open the file instead, with the viewer of this machine')
    .option('--provider <name>')
    .action((filename: string, flags: OpenFlags) => withClient(flags, (session) => open(session, filename, flags)));
  withAddress(command);
}

async function open({ client, signal }: Session, typed: string, flags: OpenFlags): Promise<number> {
  const { provider, file, address = clientAddress() } = flags;
  const { image } = await getNamed(client, typed, { provider, metadataOnly: true, signal });
  const page = file ? undefined : pageLink(image, address, provider);
  const target = page ?? (await ownPath(image));
  if (target === undefined) {
    printError(`${image.filename} is on another machine; image-storage get writes it to a file`);
    return EXIT.NEGATIVE;
  }
  const isOpened = await hasOpened(target);
  // Who has no browser here opens the address elsewhere.
  await printLine(displayText(target));
  if (!isOpened) printError(`no program here opens it: ${openerOf(target)[0]} is not installed`);
  return isOpened ? EXIT.OK : EXIT.NEGATIVE;
}

async function ownPath({ path }: Image): Promise<string | undefined> {
  if (path === '') return undefined;
  return access(path).then(
    () => path,
    () => undefined,
  );
}

/** Returns false where the program is not there. */
function hasOpened(target: string): Promise<boolean> {
  const [program, ...words] = openerOf(target);
  const child = spawn(program!, words, { stdio: 'ignore', detached: true });
  return new Promise((resolve) => {
    child.once('error', () => resolve(false));
    child.once('spawn', () => {
      child.unref();
      resolve(true);
    });
  });
}

function openerOf(target: string): string[] {
  if (process.platform === 'darwin') return ['open', target];
  if (process.platform === 'win32') return ['explorer', target];
  return ['xdg-open', target];
}
