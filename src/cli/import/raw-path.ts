/** Paths whose names need not be UTF-8, such as those that an archive from Windows leaves on Linux. */

/** How the system is to name files: each byte becomes one character, so that none is lost and `node:path` applies. */
export const RAW = { encoding: 'latin1' } as const;

/** What the system takes. */
export function bytesOf(rawPath: string): Buffer {
  return Buffer.from(rawPath, RAW.encoding);
}

/** What people read; bytes that are no UTF-8 are replaced. */
export function textOf(rawPath: string): string {
  return bytesOf(rawPath).toString();
}
