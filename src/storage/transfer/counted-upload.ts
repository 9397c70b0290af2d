/** An upload that says how many bytes come before it writes them, and when it commits. */
import type { ByteBatch } from '../domain/requests.ts';
import type { CopyUpload, IncomingBytes, Upload } from '../types.ts';

export interface UploadCounter {
  /** May reject: the bytes are not written then. */
  received(bytes: number): Promise<void>;
  committing(): void;
}

export function countedUpload(upload: Upload, counter: UploadCounter | undefined): Upload {
  if (counter === undefined) return upload;
  return {
    get filename() {
      return upload.filename;
    },
    readAt: (position, lengthBytes) => upload.readAt(position, lengthBytes),
    ...counted(upload, counter),
  };
}

export function countedCopy(upload: CopyUpload, counter: UploadCounter | undefined): CopyUpload {
  return counter === undefined ? upload : counted(upload, counter);
}

function counted<A extends unknown[], R>(
  upload: IncomingBytes & { commit(...args: A): R },
  counter: UploadCounter,
): IncomingBytes & { commit(...args: A): R } {
  return {
    async write(chunks: ByteBatch) {
      await counter.received(chunks.reduce((bytes, { length }) => bytes + length, 0));
      await upload.write(chunks);
    },
    commit(...args) {
      counter.committing();
      return upload.commit(...args);
    },
    discard: () => upload.discard(),
  };
}
