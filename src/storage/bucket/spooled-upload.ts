/** Spools the bytes of an image until they are complete, then commits it to a bucket. */
import { throwIfCancelled } from '../domain/errors.ts';
import type { ImageRecord } from '../domain/record.ts';
import type { IncomingBytes } from '../types.ts';
import type { Payload } from './object-store.ts';
import type { BucketStore } from './store.ts';

export interface SpooledUpload<T> extends IncomingBytes {
  readAt(position: number, lengthBytes: number): Promise<Buffer>;
  commit(record: ImageRecord, signal?: AbortSignal, isDated?: boolean): Promise<T>;
}

/** Runs commits with the same idempotency key one at a time, and folds their failures. */
export function spooledUpload<T>(
  { byKey, condition, spool }: BucketStore,
  expectedBytes: number | undefined,
  commit: (record: ImageRecord, payload: Payload, isDated: boolean) => Promise<T>,
): SpooledUpload<T> {
  const bytes = spool.open(expectedBytes);
  return {
    write: (chunks) => bytes.write(chunks),
    readAt: (position, lengthBytes) => bytes.readAt(position, lengthBytes),
    discard: () => bytes.discard(),
    async commit(record, signal, isDated = true) {
      const work = async () => {
        throwIfCancelled(signal);
        return commit(record, bytes.payload(record.sha256), isDated);
      };
      try {
        return await (record.idempotencyKey === '' ? work() : byKey.run(record.idempotencyKey, work));
      } catch (error) {
        throw condition.fold(error);
      } finally {
        await bytes.discard();
      }
    },
  };
}
