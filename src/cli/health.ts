/** `image-storage health`: checks whether the daemon serves; for probes and containers. */
import type { Command } from 'commander';
import { EXIT } from '../exit-codes.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './shared/connection.ts';
import { parseSeconds } from './shared/flags.ts';
import { printLine } from './terminal/text.ts';

interface HealthFlags extends AddressFlags {
  timeout: number;
}

export function registerHealth(program: Command): void {
  const command = program
    .command('health')
    .description('exit 0 when the daemon serves, else 1')
    .option('--timeout <seconds>', 'how long to wait for its answer', parseSeconds, 5)
    .action((flags: HealthFlags) => withClient(flags, health, { deadlineMs: flags.timeout * 1000 }));
  withAddress(command);
}

async function health({ client, signal, report }: Session): Promise<number> {
  try {
    const serving = await client.health({ signal });
    await printLine(serving ? 'serving' : 'not serving');
    return serving ? EXIT.OK : EXIT.NEGATIVE;
  } catch (error) {
    report(error);
    return EXIT.NEGATIVE;
  }
}
