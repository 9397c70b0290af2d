/** `image-storage catalog migrate`: moves the index of a bucket to Postgres, or back to files. */
import type { Config } from '../../config.ts';
import { EXIT } from '../../exit-codes.ts';
import { StoreOpenError } from '../../storage/domain/errors.ts';
import { countOf, printError, printLine } from '../terminal/text.ts';
import { completeStatistics, openChosen } from './own-store.ts';

export interface MigrateFlags {
  dryRun?: boolean;
  back?: boolean;
}

/** Rejects with a StoreOpenError, for example while a daemon has the state folder. */
export async function migrate(config: Config, { dryRun, back = false }: MigrateFlags): Promise<void> {
  const name = config.defaultProvider;
  const { index } = config.providers[name] as { index?: string };
  if (!back && index === undefined) {
    const message = `providers.${name}.index is not set: set it to the URL of a Postgres, such as postgres://user@host/database`;
    throw new StoreOpenError('config', message);
  }
  if (!back && !(await isFit(index!, name))) return;
  if (dryRun) return;
  const storage = await openChosen(config, { formatChange: back ? 'migrateBack' : 'migrate' });
  let count = 0;
  try {
    ({ count } = await completeStatistics(storage));
  } finally {
    await storage.close();
  }
  const where = back
    ? 'in files again: take index out of the settings of every daemon, then start them'
    : 'in Postgres: set index for every daemon of the bucket, then start them; others refuse it';
  await printLine(`${name}: the index of ${countOf(count, 'image')} is ${where}`);
}

/** Says what the Postgres is, or what it lacks. */
async function isFit(url: string, name: string): Promise<boolean> {
  const { examineServer } = await import('../../storage/catalog/postgres/examination.ts');
  const findings = await examineServer(url, Date.now).catch((cause) => {
    const message = `the Postgres of providers.${name}.index cannot be used: ${(cause as Error).message}`;
    throw new StoreOpenError('unavailable', message, { cause });
  });
  const failures = findings.filter(({ verdict }) => verdict === 'failed');
  for (const { message } of failures) printError(`the Postgres of providers.${name}.index: ${message}`);
  if (failures.length > 0) process.exitCode = EXIT.NEGATIVE;
  else for (const { message } of findings) await printLine(message);
  return failures.length === 0;
}
