/** Paths with names that may not be UTF-8, such as those that an archive from Windows leaves on Linux. */

/** The encoding of names: each byte becomes one character, so that none is lost and `node:path` works. */
export const RAW = { encoding: 'latin1' } as const;

/** Returns the path as the operating system takes it. */
export function bytesOf(rawPath: string): Buffer {
  return Buffer.from(rawPath, RAW.encoding);
}

/** Returns the path for messages; bytes that are not UTF-8 are replaced. */
export function textOf(rawPath: string): string {
  return bytesOf(rawPath).toString();
}
