/** Whether an image is stored, for commands and assistants. */
import type { ImageStorageClient } from '../client.ts';
import type { GetOptions } from './types.ts';

/** Returns false for one that is deleted, in the trash, or never was. Rejects with any other error of a Get. */
export async function exists(
  client: Pick<ImageStorageClient, 'get'>,
  filename: string,
  { provider, signal }: Pick<GetOptions, 'provider' | 'signal'>,
): Promise<boolean> {
  try {
    await client.get(filename, { provider, metadataOnly: true, signal });
    return true;
  } catch (error) {
    if ((error as { reason?: string }).reason === 'IMAGE_NOT_FOUND') return false;
    throw error;
  }
}
