/** `image-storage pin` and `unpin`: whether cleanup spares an image. */
import type { Command } from 'commander';
import { withAddress, withClient } from './shared/connection.ts';
import { IMAGE_ARGUMENT } from './shared/image-names.ts';
import { type UpdateFlags, updateAll } from './shared/update.ts';
import { displayText } from './terminal/text.ts';

export function registerPin(program: Command): void {
  register(program, 'pin', 'keep images from every cleanup', true);
}

export function registerUnpin(program: Command): void {
  register(program, 'unpin', 'leave images to cleanup again', false);
}

function register(program: Command, name: string, about: string, pinned: boolean): void {
  const command = program
    .command(name)
    .description(about)
    .argument('<filenames...>', IMAGE_ARGUMENT)
    .option('--provider <name>')
    .option('--json', 'print one JSON object a line')
    .action((filenames: string[], flags: UpdateFlags) =>
      withClient(flags, (session) =>
        updateAll(session, filenames, { pinned }, flags, ({ filename }) => `${name}ned ${displayText(filename)}`),
      ),
    );
  withAddress(command);
}
