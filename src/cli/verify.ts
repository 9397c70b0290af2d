/** `image-storage verify`: checks whether records and bytes match, and says what to do where they do not. */
import type { Command } from 'commander';
import type { Finding, VerifyOptions, VerifySummary } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import type { Session } from './shared/connection.ts';
import { refusalOf } from './shared/errors.ts';
import { type DaemonFlags, withDaemon, withDaemonFlags } from './shared/own-daemon.ts';
import { ask, canAsk } from './terminal/ask.ts';
import { createRunProgress } from './terminal/progress.ts';
import { countOf, displayText, formatBytes, printError, printJson, printLine } from './terminal/text.ts';

interface VerifyFlags extends DaemonFlags {
  provider?: string;
  deep?: boolean;
  repair?: boolean;
  forgetMissing?: boolean;
  yes?: boolean;
  json?: boolean;
}

const PROBLEMS: Record<string, string> = {
  bytes_missing: 'the bytes are gone',
  size_differs: 'the bytes have another size',
  checksum_differs: 'the bytes have changed',
  record_damaged: 'the record is damaged',
  not_committed: 'no save committed it',
  deleted_before: 'it was deleted, and has come back',
  record_alone: 'a record without an image',
  foreign: 'none of the files of the store',
  index_blind: 'searches do not find it',
};

/** What to do where `--repair` cannot help. */
const ADVICE: Record<string, string> = {
  bytes_missing: 'restore them from a backup, or --forget-missing',
  size_differs: 'restore them from a backup, or delete the image',
  checksum_differs: 'restore them from a backup, or delete the image',
  index_blind: 'stop the daemon, then: image-storage catalog rebuild',
};

export function registerVerify(program: Command): void {
  const command = program
    .command('verify')
    .description('check that records and bytes fit together; exit 0 when they do, else 1')
    .option('--provider <name>', '* is all of them')
    .option('--deep', 'read all bytes and compare their sha256')
    .option('--repair', 'restore records, adopt whole images, quarantine the rest; nothing is deleted')
    .option('--forget-missing', 'delete the records of images whose bytes are gone, after asking')
    .option('--yes', 'do not ask')
    .option('--json', 'print one JSON object a line: each finding, then the summary')
    .action((flags: VerifyFlags) => {
      if (flags.forgetMissing && !flags.yes && !canAsk()) {
        command.error('error: nobody to ask: say --yes with --forget-missing', { exitCode: EXIT.USAGE });
      }
      return withDaemon(command, flags, { existing: flags.provider ?? '' }, (session) => verify(session, flags));
    });
  withDaemonFlags(command);
}

async function verify(session: Session, flags: VerifyFlags): Promise<number> {
  const { provider, deep, repair, forgetMissing, yes, json } = flags;
  const first = await run(session, { provider, deep, repair, forgetMissing: forgetMissing && yes }, json);
  const left = first.summary.findings - first.summary.remedied;
  if (!forgetMissing || yes || first.missing === 0) return exitCodeOf(left);
  const answer = await ask(`Delete the records of ${countOf(first.missing, 'image')}?`, session.signal);
  if (answer !== 'yes') {
    printError('nothing was forgotten');
    return refusalOf(answer);
  }
  const second = await run(session, { provider, forgetMissing }, json);
  // The second run does not look for the other findings of the first, at least not as deep.
  return exitCodeOf(left - first.missing + second.missing);
}

function exitCodeOf(left: number): number {
  return left > 0 ? EXIT.NEGATIVE : EXIT.OK;
}

/**
 * Runs one verify and prints its findings. `missing` counts images whose bytes are gone and that were not forgotten.
 */
async function run(
  { client, signal }: Session,
  options: VerifyOptions,
  json = false,
): Promise<{ summary: VerifySummary; missing: number }> {
  const progress = createRunProgress('image');
  let missing = 0;
  let summary: VerifySummary = { images: 0, bytes: 0, findings: 0, remedied: 0, undecided: 0 };
  try {
    for await (const event of client.verify({ ...options, signal })) {
      if (event.kind === 'progress') {
        const { images, totalImages, ...bytes } = event.progress;
        progress.set({ items: images, totalItems: totalImages, ...bytes });
      } else if (event.kind === 'finding') {
        progress.clear();
        if (event.finding.problem === 'bytes_missing' && event.finding.remedy === 'none') missing += 1;
        await (json ? printJson(event.finding) : printLine(findingLine(event.finding)));
      } else summary = event.summary;
    }
  } finally {
    progress.clear();
  }
  await (json ? printJson({ summary }) : printLine(summaryLine(summary, options)));
  return { summary, missing };
}

/** `outputs/images/…/fox.png: the record is damaged (it is torn): restored` */
function findingLine({ key, problem, detail, remedy }: Finding): string {
  const what = `${PROBLEMS[problem] ?? problem}${detail ? ` (${detail})` : ''}`;
  const then = remedy === 'none' ? ADVICE[problem] : remedy;
  return displayText(`${key}: ${what}${then === undefined ? '' : `: ${then}`}`);
}

function summaryLine({ images, bytes, findings, remedied, undecided }: VerifySummary, { deep }: VerifyOptions): string {
  const parts = [`${deep ? 'read' : 'checked'} ${countOf(images, 'image')}, ${formatBytes(bytes)}`];
  parts.push(findings === 0 ? 'all sound' : countOf(findings, 'finding'));
  if (remedied > 0) parts.push(`${remedied} remedied`);
  if (undecided > 0) parts.push(`${undecided} too young to judge: verify again in a day`);
  return parts.join('; ');
}
