/** `image-storage catalog upgrade` and `downgrade`: which versions may open the store of a stopped daemon. */
import type { Config } from '../../config.ts';
import { EXIT } from '../../exit-codes.ts';
import type { Storage } from '../../storage/types.ts';
import { countOf, formatBytes, formatTime, printError, printLine } from '../terminal/text.ts';
import { completeStatistics, openChosen } from './own-store.ts';

const SHOWN = 20;

export interface DowngradeFlags {
  restoreTrash?: boolean;
  purgeTrash?: boolean;
}

/** Gives a bucket a trash, also one that several daemons use. */
export async function upgrade(config: Config): Promise<void> {
  const storage = await openChosen(config, { formatChange: 'upgrade' });
  await storage.close();
  await printLine(`${config.defaultProvider}: has a trash where trash.days is set; start the daemons of this version`);
}

/** Empties the trash, as it is told, and leaves the store to older versions. */
export async function downgrade(config: Config, flags: DowngradeFlags): Promise<void> {
  const name = config.defaultProvider;
  const storage = await openChosen(config, { formatChange: 'downgrade' });
  let isEmpty = false;
  try {
    await completeStatistics(storage);
    if (flags.restoreTrash) await restoreAll(storage);
    if (flags.purgeTrash) await purgeAll(storage);
    isEmpty = await isTrashEmpty(storage);
  } finally {
    await storage.close();
  }
  if (isEmpty) await printLine(`${name}: older versions can open it; ours would raise it again`);
  else process.exitCode = EXIT.NEGATIVE;
}

/** Says what is left. */
async function isTrashEmpty(storage: Storage): Promise<boolean> {
  const { provider, trashCount, trashBytes } = await completeStatistics(storage);
  if (trashCount === 0) return true;
  const items = await storage.listTrash({ limit: SHOWN });
  for (const { filename, deleteTime, purgeTime } of items) {
    await printLine(`${filename}  deleted ${formatTime(deleteTime!)}, until ${formatTime(purgeTime!)}`);
  }
  if (trashCount > items.length) await printLine(`and ${countOf(trashCount - items.length, 'image')} more`);
  const held = `${provider}: ${countOf(trashCount, 'image')} (${formatBytes(trashBytes)}) in the trash`;
  printError(`${held}: bring them back with --restore-trash, or delete them for good with --purge-trash`);
  return false;
}

/** Goes on after an image that cannot be brought back. */
async function restoreAll(storage: Storage): Promise<void> {
  let [restored, failed] = [0, 0];
  for await (const { items } of storage.listTrash().pages()) {
    for (const { filename } of items) {
      try {
        await storage.restore(filename);
        restored += 1;
      } catch (error) {
        printError(`${filename}: ${(error as Error).message}`);
        failed += 1;
      }
    }
  }
  await printLine(`${countOf(restored, 'image')} brought back${failed === 0 ? '' : `, ${failed} not`}`);
}

async function purgeAll(storage: Storage): Promise<void> {
  let [count, bytes] = [0, 0];
  for (let more = true; more; ) {
    const purged = await storage.purge({ all: true });
    count += purged.count;
    bytes += purged.bytes;
    more = purged.more && purged.count > 0;
  }
  await printLine(`${countOf(count, 'image')} deleted for good, ${formatBytes(bytes)}`);
}
