/** Reads lists of images over as many calls as needed: each goes on behind the last whole batch. */
import type { Image as ImageMessage } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import type { Backoff } from './retry.ts';

interface Batch {
  images: ImageMessage[];
  nextPageToken: string;
}

/** `read` starts a call; `limit` 0 is all. Yields the images of all batches. */
export async function* readBatches(
  read: (rest: { pageToken: string; limit: number }) => AsyncIterable<Batch>,
  backoff: Backoff,
  limit = 0,
): AsyncGenerator<ImageMessage> {
  let pageToken = '';
  let left = limit || Number.POSITIVE_INFINITY;
  // A complete list is read to its end, too: a call that is left early is reset, and servers close connections with
  // many resets.
  let complete = false;
  for (;;) {
    try {
      for await (const batch of read({ pageToken, limit: Number.isFinite(left) ? left : 0 })) {
        backoff.reset();
        yield* batch.images;
        pageToken = batch.nextPageToken;
        left -= batch.images.length;
        complete = pageToken === '' || left <= 0;
      }
      return;
    } catch (error) {
      if (complete) return;
      await backoff.wait(error);
    }
  }
}
