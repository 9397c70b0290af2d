/** `image-storage export`: writes the images that match into a folder, each whole or not at all. */
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Command } from 'commander';
import type { Image } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { inParallel } from '../storage/async/parallel.ts';
import { makeFolders } from '../storage/disk/files.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './shared/connection.ts';
import { type FilterFlags, filtersOf, withFilters } from './shared/filters.ts';
import { parseConcurrency } from './shared/flags.ts';
import { printHintsFor } from './shared/hints.ts';
import { sha256Of } from './shared/input.ts';
import { writeWhole } from './shared/write-whole.ts';
import { createRunProgress } from './terminal/progress.ts';
import { countOf, formatBytes, printError, printJson, printLine } from './terminal/text.ts';

interface ExportFlags extends AddressFlags, FilterFlags {
  concurrency: number;
  json?: boolean;
}

interface Summary {
  exported: number;
  exportedBytes: number;
  /** Files that had the bytes of their image. */
  present: number;
  failed: number;
}

const ALL = '*';
const DEFAULT_CONCURRENCY = 4;
/** gRPC's codes of failures that are of one image: deleted meanwhile, or damaged. */
const OF_ONE_IMAGE: readonly unknown[] = [5, 15];

export function registerExport(program: Command): void {
  const command = program
    .command('export')
    .description('write the images that match into a folder; what is there already stays')
    .argument('<folder>', 'is made where there is none; those of --provider * are in a folder each')
    .option('--concurrency <count>', 'images at once', parseConcurrency, DEFAULT_CONCURRENCY)
    .option('--json', 'print the summary as JSON');
  withFilters(command);
  withAddress(command);
  command.action((folder: string, flags: ExportFlags) =>
    withClient(flags, (session) => exportImages(session, folder, flags)),
  );
}

/** Continues after an image that fails; ends when the daemon or the disk does, and can be run again. */
async function exportImages(session: Session, folder: string, flags: ExportFlags): Promise<number> {
  const { client, signal, report } = session;
  const filters = filtersOf(flags);
  const totals = process.stderr.isTTY ? await client.totals({ ...filters, signal }) : undefined;
  const progress = createRunProgress('image');
  const done = { items: 0, bytes: 0, totalItems: totals?.count ?? 0, totalBytes: totals?.bytes ?? 0 };
  const summary: Summary = { exported: 0, exportedBytes: 0, present: 0, failed: 0 };
  let exitCode: number = EXIT.OK;
  const exportOne = async (image: Image) => {
    const target = join(folder, flags.provider === ALL ? image.provider : '', basename(image.filename));
    const { outcome, code = EXIT.OK } = await exportImage(session, image, target).catch((error) => {
      if (signal.aborted || !OF_ONE_IMAGE.includes(error.code)) throw error;
      progress.clear();
      return { outcome: 'failed', code: report(error, image.filename) } as const;
    });
    exitCode ||= code;
    summary[outcome] += 1;
    if (outcome === 'exported') summary.exportedBytes += image.size;
    done.items += 1;
    done.bytes += image.size;
    progress.set(done);
  };
  await makeFolders(folder);
  try {
    await inParallel(flags.concurrency, client.list({ ...filters, view: 'row', signal }), exportOne);
  } finally {
    progress.clear();
    if (flags.json) await printJson({ summary });
    else await printLine(summaryLine(summary));
  }
  if (done.items === 0) await printHintsFor(session, filters);
  return exitCode;
}

interface Outcome {
  outcome: 'exported' | 'present' | 'failed';
  code?: number;
}

async function exportImage({ client, signal }: Session, image: Image, target: string): Promise<Outcome> {
  const { filename, provider, metadata } = image;
  const stats = await stat(target).catch(() => undefined);
  if (stats !== undefined) return await compare(target, stats, image);
  await makeFolders(dirname(target));
  const { body } = await client.get(filename, { provider, signal });
  const isWritten = await writeWhole(body, target, { time: metadata.timestamp });
  return isWritten ? { outcome: 'exported' } : taken(target);
}

/** What an earlier run has written is whole, and stays. */
async function compare(target: string, { size }: { size: number }, image: Image): Promise<Outcome> {
  const isSame = size === image.size && (await sha256Of(target)) === image.sha256;
  return isSame ? { outcome: 'present' } : taken(target);
}

function taken(target: string): Outcome {
  printError(`${target} is another file, and stays`);
  return { outcome: 'failed', code: EXIT.IO };
}

function summaryLine({ exported, exportedBytes, present, failed }: Summary): string {
  const parts = [`exported ${countOf(exported, 'image')}, ${formatBytes(exportedBytes)}`];
  if (present > 0) parts.push(`${present.toLocaleString('en')} there already`);
  if (failed > 0) parts.push(`${failed.toLocaleString('en')} failed`);
  return parts.join('; ');
}
