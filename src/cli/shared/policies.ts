/** Shows the retention policies of a daemon: when they ran and run next, and what would go if they ran now. */
import type { CleanupResult, PolicyStats, ProviderStats } from '../../client.ts';
import { EXIT } from '../../exit-codes.ts';
import { type Column, tableFormatter, terminalWidth } from '../terminal/table.ts';
import { countOf, displayText, formatBytes, formatTime, printError, printJson, printLine } from '../terminal/text.ts';
import type { Session } from './connection.ts';

/** Said where a policy finds nothing: who has just saved would wonder. */
export const SPARED_LATELY = '; a policy spares what came within the last 24 hours';

interface Policy extends PolicyStats {
  provider: string;
}

const COLUMNS: Column[] = [
  { title: 'POLICY' },
  { title: 'PROVIDER' },
  { title: 'LAST RUN (UTC)' },
  { title: 'WENT', align: 'right' },
  { title: 'NEXT RUN (UTC)' },
];

/** Prints the policies of the provider, or of all, and a dry run of each. */
export async function policies(
  { client, signal }: Session,
  { provider = '*', json }: { provider?: string; json?: boolean },
): Promise<number> {
  const found = (await client.stats(provider, { signal })).flatMap(policiesOf);
  if (found.length === 0) {
    printError('the daemon has no retention policies, or is older');
    return EXIT.OK;
  }
  if (!json) for (const line of tableFormatter(COLUMNS, terminalWidth())(found.map(rowOf))) await printLine(line);
  for (const name of new Set(found.map((policy) => policy.name))) {
    const plan = await client.cleanup({ policy: name, dryRun: true, signal });
    if (!json) for (const line of planLines(name, plan)) await printLine(line);
    else for (const policy of found) if (policy.name === name) await printJson({ ...policy, wouldGo: plan });
  }
  return EXIT.OK;
}

function policiesOf({ provider, policies: running }: ProviderStats): Policy[] {
  return running.map((policy) => ({ ...policy, provider }));
}

function rowOf({ name, provider, lastRun, nextRun, announced, lastCount, lastBytes }: Policy): string[] {
  const went = lastRun === undefined ? '-' : `${countOf(lastCount, 'image')}, ${formatBytes(lastBytes)}`;
  const isDryRun = announced && lastRun !== undefined;
  const times = [lastRun, nextRun].map((time) => (time === undefined ? '-' : formatTime(time)));
  return [name, provider, times[0]!, isDryRun ? `none (would: ${went})` : went, times[1]!];
}

function planLines(name: string, { deletedCount, freedBytes, reasons }: CleanupResult): string[] {
  const amount = `${countOf(deletedCount, 'image')}, ${formatBytes(freedBytes)}`;
  const head = `${displayText(name)} would delete now: ${deletedCount === 0 ? `nothing${SPARED_LATELY}` : amount}`;
  const why = reasons.map(({ text, count, bytes }) => {
    return `  ${displayText(text)}: ${countOf(count, 'image')}, ${formatBytes(bytes)}`;
  });
  return ['', head, ...why];
}
