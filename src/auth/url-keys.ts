/** The keys that sign URLs and sessions: configured, or those of a file that is made when a key is first needed. */
import { readFileSync } from 'node:fs';
import { link, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { newUrlKey, parseUrlKeys, type UrlKey, UrlKeysError } from './signed-url.ts';

/** For its user alone. */
const MODE = 0o600;

export interface UrlKeys {
  /** Those whose signatures hold; none as long as nothing was signed, or the file cannot be read. */
  known(): readonly UrlKey[];
  /** Returns the one that signs, and makes the file where there is none. Rejects where that cannot be. */
  signing(): Promise<UrlKey>;
  /** Throws a UrlKeysError where the file has no keys. */
  check(): void;
}

/** `text` has a key a line; where it is unset, `file` has. Throws a UrlKeysError for the text. */
export function openUrlKeys(text: string | undefined, file: string): UrlKeys {
  let keys: readonly UrlKey[] = text === undefined ? [] : parseUrlKeys(text);
  let making: Promise<void> | undefined;
  const read = () => {
    if (keys.length === 0) keys = parseUrlKeys(readFileSync(file, 'utf8'));
    return keys;
  };
  const known = () => {
    try {
      return read();
    } catch {
      return [];
    }
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
      return read()[0]!;
    },
    check() {
      try {
        read();
      } catch (error) {
        // The folder may come later: that of a store that need not be there.
        if (error instanceof UrlKeysError) throw error;
      }
    },
  };
}

/** After a crash there is none, or all of it. Rejects where something has the name. */
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
  await link(temporary, path);
  await rm(temporary);
  const folder = await open(dirname(path));
  await folder.sync().finally(() => folder.close());
}
