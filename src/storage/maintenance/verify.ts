/** Turns the results of providers' checks into the events of a verification. */

import type { ImageIndex } from '../catalog/catalog.ts';
import { unfoundImage } from '../catalog/index-check.ts';
import { StorageError } from '../domain/errors.ts';
import type { Finding, VerifyEvent, VerifySummary } from '../domain/maintenance.ts';
import type { Checked } from './maintenance.ts';

/** `total`: the images to be checked and their bytes; 0 when unknown. */
export async function* verifyEvents(
  provider: string,
  checks: AsyncIterable<Checked>,
  total: { images: number; bytes: number },
): AsyncGenerator<VerifyEvent> {
  const summary = emptySummary();
  for await (const { sizeBytes, findings, undecided } of checks) {
    for (const finding of findings) {
      summary.findings += 1;
      if (finding.remedy !== 'none') summary.remedied += 1;
      yield { kind: 'finding', provider, finding };
    }
    if (undecided) summary.undecided += 1;
    if (sizeBytes === undefined) continue;
    summary.images += 1;
    summary.bytes += sizeBytes;
    const { images, bytes } = summary;
    yield { kind: 'progress', progress: { images, totalImages: total.images, bytes, totalBytes: total.bytes } };
  }
  yield { kind: 'summary', summary };
}

/** Returns a finding where searches do not find an image that the catalog has. */
export async function searchFindings(catalog: Pick<ImageIndex, 'find' | 'page'>): Promise<Finding[]> {
  const unfound = await unfoundImage(catalog);
  if (unfound === undefined) return [];
  const { record, word } = unfound;
  const { key, filename } = record;
  return [{ problem: 'index_blind', remedy: 'none', key, filename, detail: `not by "${word}" of its prompt` }];
}

/** Runs the verifications one after the other, with one summary at the end. */
export async function* inTurn(verifications: Iterable<AsyncIterable<VerifyEvent>>): AsyncGenerator<VerifyEvent> {
  const sum = emptySummary();
  for (const events of verifications) {
    for await (const event of events) {
      if (event.kind === 'summary') add(sum, event.summary);
      else yield event;
    }
  }
  yield { kind: 'summary', summary: sum };
}

function emptySummary(): VerifySummary {
  return { images: 0, bytes: 0, findings: 0, remedied: 0, undecided: 0 };
}

function add(sum: VerifySummary, part: VerifySummary): void {
  for (const key of Object.keys(sum) as (keyof VerifySummary)[]) sum[key] += part[key];
}

/** Returns the error that refuses to forget most images: probably their `place` is missing. */
export function mostAreMissing(place: string): StorageError {
  const message = `most images have no bytes: mount or restore their ${place}, or delete the images; none was forgotten`;
  return new StorageError('STORE_REPLACED', message);
}
