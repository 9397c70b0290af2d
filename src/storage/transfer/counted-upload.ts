/** An upload that says how many bytes come before it writes them. */
import type { ByteBatch } from '../domain/requests.ts';
import type { Upload } from '../types.ts';

/** `received` may reject: the bytes are not written then. */
export function countedUpload(upload: Upload, received: (bytes: number) => Promise<void>): Upload {
  return {
    get filename() {
      return upload.filename;
    },
    async write(chunks: ByteBatch) {
      await received(chunks.reduce((bytes, { length }) => bytes + length, 0));
      await upload.write(chunks);
    },
    readAt: (position, lengthBytes) => upload.readAt(position, lengthBytes),
    commit: (record, signal) => upload.commit(record, signal),
    discard: () => upload.discard(),
  };
}
