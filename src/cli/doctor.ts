/** `image-storage doctor`: checks whether each provider has what a daemon needs, and says what to change. */
import type { Command } from 'commander';
import { loadConfig, processEnvironment } from '../config.ts';
import { EXIT } from '../exit-codes.ts';
import type { ProviderCheck } from '../storage/doctor/doctor.ts';
import { examineStorage } from '../storage/storage.ts';
import { listenForInterrupt } from './shared/connection.ts';
import { providerNamed } from './shared/settings.ts';
import { countOf, displayText, printJson, printLine } from './terminal/text.ts';

interface DoctorFlags {
  config?: string;
  provider?: string;
  json?: boolean;
}

/** The widths of the longest verdict and of the longest name of a check. */
const VERDICT_WIDTH = 7;
const NAME_WIDTH = 10;

export function registerDoctor(program: Command): void {
  const command = program
    .command('doctor')
    .description('check that each provider has what the daemon needs; exit 0 when it has, else 1')
    .option('--config <file>', 'a YAML file (default: IMAGE_STORAGE_CONFIG)')
    .option('--provider <name>', 'only this one')
    .option('--json', 'print one JSON object a line for each check')
    .action(async (flags: DoctorFlags) => {
      const config = loadConfig({ env: processEnvironment(), configFile: flags.config });
      const only = flags.provider === undefined ? undefined : providerNamed(command, config, flags.provider);
      const width = Math.max(...Object.keys(config.providers).map((name) => name.length));
      process.exitCode = await doctor(examineStorage(config, only), flags.json ? undefined : width);
    });
}

/** Prints lines, with the provider in `width` columns, or JSON without a width. Returns the exit code. */
async function doctor(checks: AsyncIterable<ProviderCheck>, width?: number): Promise<number> {
  const signal = listenForInterrupt();
  let failed = 0;
  for await (const check of checks) {
    if (check.verdict === 'failed') failed += 1;
    await (width === undefined ? printJson(check) : printLine(lineOf(check, width)));
    // Leaving the loop removes what the checks have written.
    if (signal.aborted) return EXIT.INTERRUPTED;
  }
  if (width !== undefined) await printLine(failed === 0 ? 'all is well' : `${countOf(failed, 'check')} failed`);
  return failed === 0 ? EXIT.OK : EXIT.NEGATIVE;
}

/** `ok      s3 create     a second create of an object is refused (If-None-Match)` */
function lineOf({ provider, name, verdict, message }: ProviderCheck, width: number): string {
  const columns = [verdict.padEnd(VERDICT_WIDTH), provider.padEnd(width), name.padEnd(NAME_WIDTH), message];
  return displayText(columns.join(' '));
}
