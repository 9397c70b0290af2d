/** The keys that sign URLs and sessions: configured, or those of a file that is made when a key is first needed. */
import { readFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { newUrlKey, parseUrlKeys, type UrlKey } from './signed-url.ts';

/** For its user alone. */
const MODE = 0o600;

export interface UrlKeys {
  /** Those whose signatures hold; none as long as nothing was signed. Throws where the file cannot be used. */
  known(): readonly UrlKey[];
  /** Returns the one that signs, and makes it where there is none. */
  signing(): Promise<UrlKey>;
}

/** `text` has a key a line; where it is unset, `file` has. Throws a UrlKeysError for the text. */
export function openUrlKeys(text: string | undefined, file: string): UrlKeys {
  let keys: readonly UrlKey[] | undefined = text === undefined ? undefined : parseUrlKeys(text);
  let making: Promise<void> | undefined;
  const known = () => {
    keys ??= readKeys(file);
    return keys ?? [];
  };
  return {
    known,
    async signing() {
      if (known().length === 0) {
        making ??= makeKeys(file).finally(() => {
          making = undefined;
        });
        await making;
      }
      return known()[0]!;
    },
  };
}

/** Synchronous: a small file, read once. */
function readKeys(file: string): UrlKey[] | undefined {
  try {
    return parseUrlKeys(readFileSync(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** After a crash there is none, or all of it. */
async function makeKeys(path: string): Promise<void> {
  const temporary = `${path}.tmp`;
  await rm(temporary, { force: true });
  const file = await open(temporary, 'wx', MODE);
  try {
    await file.writeFile(`${newUrlKey()}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const folder = await open(dirname(path));
  await folder.sync().finally(() => folder.close());
}
