/** The table of mounts: which mount a path is on, and which of them are network file systems. */
import { describe, expect, it } from 'vitest';
import { mountIn, remoteByFuse } from '../../src/storage/disk/mounts.ts';

const TABLE = String.raw`22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw,discard
31 27 0:40 / /data rw,nosuid - fuse.sshfs user@nas:/export rw,user_id=0
32 27 0:41 / /data2 rw shared:3 - virtiofs outputs rw
33 31 8:1 / /data/fast rw - xfs /dev/sda1 rw
34 27 0:42 / /mnt/my\040bucket\134one rw - fuse.s3fs s3fs rw
35 27 0:43 / /twice rw - ext4 /dev/sdb rw
36 35 0:44 / /twice rw - fuse.rclone drive:pictures rw
37 27 0:45 /outer/inner /bound rw - fuse.gcsfuse bucket rw
38 27 0:46 / /dav rw - fuse https://cloud.example/dav rw
`;

describe('the mount of a path', () => {
  it.each([
    { path: '/', type: 'ext4' },
    { path: '/home/me/outputs', type: 'ext4' },
    { path: '/data', type: 'fuse.sshfs' },
    { path: '/data/outputs/images', type: 'fuse.sshfs' },
    { path: '/data/fast/outputs', type: 'xfs' },
    { path: '/data2/outputs', type: 'virtiofs' },
    { path: '/database', type: 'ext4' },
    { path: String.raw`/mnt/my bucket\one/outputs`, type: 'fuse.s3fs' },
    { path: '/twice/outputs', type: 'fuse.rclone' },
    { path: '/bound', type: 'fuse.gcsfuse' },
  ])('$path is on $type', ({ path, type }) => {
    expect(mountIn(TABLE, path)?.type).toBe(type);
  });

  it('has the device that the kernel knows it by', () => {
    expect(mountIn(TABLE, '/data/fast')?.device).toEqual([8, 1]);
  });

  it('is unknown where the table has none', () => {
    expect(mountIn('', '/data')).toBeUndefined();
  });
});

describe('a network file system by FUSE', () => {
  it.each(['sshfs', 'rclone', 's3fs', 'gcsfuse', 'smbnetfs', 'juicefs', 'glusterfs'])('is fuse.%s', (name) => {
    expect(remoteByFuse({ type: `fuse.${name}`, source: 'whatever' })).toBe(name);
  });

  it.each([
    { type: 'fuse', source: 'https://cloud.example/dav' },
    { type: 'fuse', source: 'me@nas.example:/pictures' },
    { type: 'fuse', source: 'curlftpfs#ftp://nas' },
    { type: 'fuse', source: 'mountpoint-s3' },
  ])('is $type with the source $source', (mount) => {
    expect(remoteByFuse(mount)).toBeDefined();
  });

  it.each([
    { type: 'fuseblk', source: '/dev/sda1' },
    { type: 'fuse.mergerfs', source: 'a:b' },
    { type: 'fuse.gocryptfs', source: '/home/me/cipher' },
    { type: 'fuse.grpcfuse', source: 'grpcfuse' },
    { type: 'virtiofs', source: 'outputs' },
    { type: 'fuse', source: '/dev/fuse' },
    { type: 'ext4', source: '/dev/sshfs' },
  ])('is not $type of $source', (mount) => {
    expect(remoteByFuse(mount)).toBeUndefined();
  });
});
