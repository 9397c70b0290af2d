/** Reads the table of mounts of this process (Linux). */
import { readFile, realpath } from 'node:fs/promises';
import { ifPresent } from './files.ts';

/** https://www.kernel.org/doc/html/latest/filesystems/proc.html, 3.5; the optional fields end with a single hyphen. */
const LINE = /^\d+ \d+ (\d+):(\d+) \S+ (\S+) \S+ (?:\S+ )*?- (\S+) (\S+)/gm;

/** Subtypes of FUSE that are network file systems. */
const REMOTE_FUSE = new Set([
  'afpfs',
  'alluxio-fuse',
  'blobfuse',
  'blobfuse2',
  'ceph-fuse',
  'curlftpfs',
  'cvmfs2',
  'dbxfs',
  'fuse-nfs',
  'fuse_dfs',
  'gcsfuse',
  'geesefs',
  'glusterfs',
  'google-drive-ocamlfuse',
  'goofys',
  'gvfsd-fuse',
  'httpdirfs',
  'httpfs2',
  'juicefs',
  'lizardfs',
  'mfs',
  'mount-s3',
  'mountpoint-s3',
  'objectivefs',
  'onedriver',
  'rclone',
  's3fs',
  's3ql',
  'saunafs',
  'seaweedfs',
  'smbnetfs',
  'sshfs',
  'tigrisfs',
  'weed',
  'xrootdfs',
]);
/** The source of a network file system that names no subtype: a URL, as davfs2 has it, or `user@host:path`. */
const REMOTE_SOURCE = /^[a-z][a-z0-9+.-]*:\/\/|^[^/@]+@[^/:]+:/i;

export interface Mount {
  point: string;
  /** Such as `ext4`, `fuse.sshfs`, `virtiofs`. */
  type: string;
  source: string;
  /** Major and minor number of its device. */
  device: readonly [number, number];
}

/** Returns the mount of an existing path, or undefined where there is no table of mounts. */
export async function mountOf(path: string): Promise<Mount | undefined> {
  const [table, place] = await Promise.all([ifPresent(readFile('/proc/self/mountinfo', 'utf8')), realpath(path)]);
  return table === undefined ? undefined : mountIn(table, place);
}

/** Returns the mount of a path without links in the text of `/proc/self/mountinfo`. */
export function mountIn(table: string, path: string): Mount | undefined {
  const found = [...table.matchAll(LINE)]
    .map(([, major, minor, point, type, source]) => ({
      point: unescaped(point!),
      type: unescaped(type!),
      source: unescaped(source!),
      device: [Number(major), Number(minor)] as const,
    }))
    .filter(({ point }) => path === point || path.startsWith(point.endsWith('/') ? point : `${point}/`));
  // The deepest mount; of several at one mount point the last hides the others.
  return found.toSorted((a, b) => a.point.length - b.point.length).at(-1);
}

/** Returns the name of a network file system that is mounted by FUSE, or undefined. */
export function remoteByFuse({ type, source }: Pick<Mount, 'type' | 'source'>): string | undefined {
  const [, subtype] = /^fuse\.(.+)$/.exec(type) ?? [];
  if (subtype === undefined && type !== 'fuse') return undefined;
  // Without a subtype the source may be its name, as of mountpoint-s3, or begin with it, as in `curlftpfs#ftp://…`.
  const name = (subtype ?? source.split('#')[0]!).toLowerCase();
  if (REMOTE_FUSE.has(name)) return name;
  return subtype === undefined && REMOTE_SOURCE.test(source) ? 'a network file system by FUSE' : undefined;
}

/** Decodes a field: spaces and similar characters are written as octal numbers. */
function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
}
