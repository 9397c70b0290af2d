/** A power cut under load: every save, update, delete, restore and purge that was acknowledged before it is found done after it. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { brokenPromises, openStore } from '../support/check-store.ts';
import { loseCatalog } from '../support/files.ts';
import { Ledger } from '../support/ledger.ts';
import { endlessImages, putUnderLoad, random } from '../support/load.ts';
import { canMountLoop, type Disk, type FileSystem, hasMkfs, openDisk } from '../support/mounts.ts';
import { requires } from '../support/requires.ts';
import { full } from '../support/scale.ts';
import { forkStore } from './forked-store.ts';
import type { StoreProcessOptions } from './store-process.ts';

const ROUNDS = full ? 60 : 20;
/** What is broken shows by chance, in most cases in the first rounds. */
const MOST_TEETH_ROUNDS = 15;
const TIMEOUT_MS = 10 * 60_000;

type Variant = Pick<StoreProcessOptions, 'synchronous' | 'withoutDatasync' | 'trashDays'>;

requires('root, loop mounts, python3 and mkfs.ext4', canMountLoop && hasMkfs('ext4'))('a power cut on ext4', () => {
  it('loses nothing that was acknowledged', () => keepsItsPromises('ext4'), TIMEOUT_MS);
  if (full) it('loses nothing without a trash, either', () => keepsItsPromises('ext4', { trashDays: 0 }), TIMEOUT_MS);

  it('loses no image whose record had its minute, even when the catalog goes with the power', async () => {
    await using disk = await openDisk('ext4');
    const [basePath, images] = [join(disk.path, 'outputs'), endlessImages()];
    const ledger = new Ledger({ trash: true });
    // A clean stop waits for the records as the minute would.
    await fillStore(disk, ledger, images, {});
    const settled = ledger.copy();
    await cutUnderLoad(disk, new Ledger({ trash: true }), images, {});
    await loseCatalog(basePath);
    const findings = await brokenPromises(basePath, settled);
    expect(
      findings.filter((finding) => /^(lost|came back|is in the trash|unreadable|wrong bytes)/.test(finding)),
    ).toEqual([]);
  });

  it('loses no restore of an image whose delete the disk had for long', async () => {
    await using disk = await openDisk('ext4');
    const basePath = join(disk.path, 'outputs');
    const storage = await openStore(basePath);
    const { bytes, metadata, options } = endlessImages().next().value!;
    const { filename } = await storage.save(bytes, metadata, options);
    await storage.delete(filename);
    execFileSync('sync', ['-f', disk.path]);
    await storage.restore(filename);
    await disk.cutPower();
    await storage.close();
    await disk.restart();
    const restarted = await openStore(basePath);
    expect((await restarted.list()).map((item) => item.filename)).toEqual([filename]);
    await restarted.close();
  });

  describe('would be noticed', () => {
    it(
      'without the fsync of the bytes',
      async () => {
        expect(await noticed({ withoutDatasync: true }, ['unreadable'])).toEqual(['unreadable']);
      },
      TIMEOUT_MS,
    );

    it(
      'with the catalog at synchronous=NORMAL',
      async () => {
        // A save, and a delete or a purge.
        const kinds = ['lost', 'came back'];
        expect(await noticed({ synchronous: 'NORMAL' }, kinds)).toEqual(kinds);
      },
      TIMEOUT_MS,
    );
  });
});

if (full) {
  requires('root, loop mounts, python3 and mkfs.xfs', canMountLoop && hasMkfs('xfs'))('a power cut on XFS', () => {
    it('loses nothing that was acknowledged', () => keepsItsPromises('xfs'), TIMEOUT_MS);
    it('loses nothing without a trash, either', () => keepsItsPromises('xfs', { trashDays: 0 }), TIMEOUT_MS);
  });
}

async function keepsItsPromises(type: FileSystem, variant: Variant = {}): Promise<void> {
  const { findings, acked } = await survey(type, ROUNDS, variant);
  console.info(
    `power cuts on ${type}: ${ROUNDS}, ${acked} changes acknowledged before them, ${JSON.stringify(variant)}`,
  );
  expect(findings).toEqual([]);
  expect(acked).toBeGreaterThan(ROUNDS);
}

/** Cuts the power until findings of all these kinds have shown. Returns those that have. */
async function noticed(variant: Variant, kinds: string[]): Promise<string[]> {
  const found = (findings: string[]) => kinds.filter((kind) => findings.some((finding) => finding.startsWith(kind)));
  const isEnough = (findings: string[]) => found(findings).length === kinds.length;
  const { findings, rounds } = await survey('ext4', MOST_TEETH_ROUNDS, variant, isEnough);
  console.info(`power cuts on ext4 until it was noticed: ${rounds}, ${JSON.stringify(variant)}`);
  return found(findings);
}

/**
 * All rounds on one store, or until what they found is enough; what that is, and how much had been acknowledged before the
 * cuts.
 */
async function survey(type: FileSystem, mostRounds: number, variant: Variant = {}, isEnough = (_: string[]) => false) {
  await using disk = await openDisk(type);
  const ledger = new Ledger({ trash: variant.trashDays !== 0 });
  const images = endlessImages();
  await fillStore(disk, ledger, images, variant);
  const findings: string[] = [];
  let acked = 0;
  let rounds = 0;
  while (rounds < mostRounds && !isEnough(findings)) {
    rounds += 1;
    const before = ledger.ackedCount();
    const { cutAtNs } = await cutUnderLoad(disk, ledger, images, variant);
    if (rounds % 4 === 0) await cutAfterRecovery(disk);
    acked += ledger.ackedCount(cutAtNs) - before;
    findings.push(...(await brokenPromises(join(disk.path, 'outputs'), ledger, { untilNs: cutAtNs })));
  }
  return { findings, acked, rounds };
}

/** Images that are on stable storage beyond doubt, for the deletes of the first round. */
async function fillStore(
  disk: Disk,
  ledger: Ledger,
  images: ReturnType<typeof endlessImages>,
  { trashDays }: Variant,
): Promise<void> {
  const store = await forkStore({
    basePath: join(disk.path, 'outputs'),
    ...(trashDays !== undefined && { trashDays }),
  });
  expect(await putUnderLoad(store, ledger, { images, saves: 100 })).toEqual([]);
  await store.close();
}

/** What recovery did has to last, too. */
async function cutAfterRecovery(disk: Disk): Promise<void> {
  const store = await forkStore({ basePath: join(disk.path, 'outputs') });
  await disk.cutPower();
  await store.kill();
  await disk.restart();
}

async function cutUnderLoad(disk: Disk, ledger: Ledger, images: ReturnType<typeof endlessImages>, variant: Variant) {
  const store = await forkStore({ basePath: join(disk.path, 'outputs'), ...variant });
  const load = putUnderLoad(store, ledger, { images });
  await sleep(100 + 300 * random());
  const cutAtNs = await disk.cutPower();
  await store.kill();
  await load;
  await disk.restart();
  return { cutAtNs };
}
