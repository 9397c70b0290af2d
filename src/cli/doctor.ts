/** `image-storage doctor`: checks whether each provider has what a daemon needs, and says what to change. */
import type { Command } from 'commander';
import { processEnvironment } from '../config/process.ts';
import { type Config, loadConfig } from '../config.ts';
import { EXIT } from '../exit-codes.ts';
import type { ProviderCheck } from '../storage/doctor/doctor.ts';
import { examineStorage } from '../storage/storage.ts';
import { examineDaemon } from './doctor/daemon.ts';
import { listenForInterrupt } from './shared/connection.ts';
import { providerNamed, type SettingsFlags, withSettings } from './shared/settings.ts';
import { countOf, displayText, printJson, printLine } from './terminal/text.ts';

interface DoctorFlags extends SettingsFlags {
  provider?: string;
  json?: boolean;
}

/** The widths of the longest verdict and of the longest name of a check. */
const VERDICT_WIDTH = 7;
const NAME_WIDTH = 10;

export function registerDoctor(program: Command): void {
  const about =
    'check that each provider has what the daemon needs, and what the daemon serves that runs; exit 0 when all is well, ' +
    'else 1; takes the flags of serve';
  const command = withSettings(
    program
      .command('doctor')
      .summary('check what the daemon needs, and what the running one serves')
      .description(about),
  )
    .option('--provider <name>', 'only this one')
    .option('--json', 'print one JSON object a line for each check')
    .action(async ({ config: configFile, provider, json, ...flags }: DoctorFlags) => {
      const config = loadConfig({ flags, env: processEnvironment(), configFile });
      const only = provider === undefined ? undefined : providerNamed(command, config, provider);
      const width = Math.max(...Object.keys(config.providers).map((name) => name.length));
      process.exitCode = await doctor(examine(config, only), json ? undefined : width);
    });
}

async function* examine(config: Config, only?: string): AsyncGenerator<ProviderCheck> {
  yield* examineStorage(config, only);
  yield* examineDaemon(config, only);
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
