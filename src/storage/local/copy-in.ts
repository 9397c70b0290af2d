/** Stores an image of another store in a local store under the same name, by the steps of a save. */
import type { CopyUpload } from '../types.ts';
import { FilenameTaken, openUpload } from './save.ts';
import type { LocalStore } from './store.ts';

/** Returns undefined when the name is taken. */
export async function openCopy(store: LocalStore, filename: string): Promise<CopyUpload | undefined> {
  const upload = await unlessTaken(openUpload(store, filename, true));
  if (upload === undefined) return undefined;
  return {
    write: (chunks) => upload.write(chunks),
    discard: () => upload.discard(),
    commit: async ({ nonce: _, ...record }) => {
      try {
        await store.audit.broughtBack(record, 'copy', store.context.now());
      } catch (error) {
        await upload.discard();
        throw error;
      }
      return (await unlessTaken(upload.commit(record))) !== undefined;
    },
  };
}

async function unlessTaken<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof FilenameTaken) return undefined;
    throw error;
  }
}
