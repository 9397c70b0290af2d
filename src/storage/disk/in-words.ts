/** What the operating system refuses, in words. */

const IN_WORDS: Record<string, string> = {
  ENOENT: 'no such file or folder',
  ENOTDIR: 'a part of this path is no folder',
  EISDIR: 'is a folder, not a file',
  EEXIST: 'exists already',
  ENOSPC: 'no room left on the disk',
  EBUSY: 'is in use',
  EROFS: 'is on a disk that is mounted read-only',
  EMFILE: 'too many open files',
  ELOOP: 'links lead in a circle',
};

/** Returns them of a file that the caller names; undefined for an error that has none. */
export function inWords({ code = '' }: NodeJS.ErrnoException): string | undefined {
  const user = process.geteuid ? ` to this user (uid ${process.geteuid()})` : '';
  return code === 'EACCES' || code === 'EPERM' ? `not permitted${user}` : IN_WORDS[code];
}
