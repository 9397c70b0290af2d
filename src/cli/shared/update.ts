/** Updates several images for a command: one line each, and goes on after one that is not there. */
import type { Image, ImageChanges, ImageStorageError } from '../../client.ts';
import { EXIT } from '../../exit-codes.ts';
import { printError, printJson, printLine } from '../terminal/text.ts';
import type { AddressFlags, Session } from './connection.ts';
import { imageJson } from './image-json.ts';
import { fullNames } from './image-names.ts';

export interface UpdateFlags extends AddressFlags {
  provider?: string;
  json?: boolean;
}

/** `line` says what an image is now. Returns the exit code: NEGATIVE where an image is not there. */
export async function updateAll(
  { client, signal }: Session,
  filenames: readonly string[],
  changes: ImageChanges,
  { provider, json }: UpdateFlags,
  line: (image: Image) => string,
): Promise<number> {
  let exitCode: number = EXIT.OK;
  const named = await fullNames(client, filenames, { provider, signal });
  for (const filename of named) {
    try {
      const image = await client.update(filename, changes, { provider, signal });
      await (json ? printJson(imageJson(image)) : printLine(line(image)));
    } catch (error) {
      if ((error as Partial<ImageStorageError>).reason !== 'IMAGE_NOT_FOUND') throw error;
      printError(`${filename}: not there`);
      exitCode = EXIT.NEGATIVE;
    }
  }
  return exitCode;
}
