/**
 * `npm run bench:beside`: what a repeated save, a search and a mistaken delete come to in a folder, in a bucket (versitygw,
 * where Go can build it) and in ImageStorage.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { connect } from '../src/client.ts';
import { pngOf } from '../test/support/images.ts';
import { startVersitygw, versitygwAvailable } from '../test/support/versitygw.ts';
import { startDaemon } from './daemon.ts';

const IMAGES = 100;
const IMAGE_BYTES = 1_000_000;
const DELETED = 40;
/** One in so many shows an owl. */
const RARE = 20;

interface Store {
  /** Called a second time for the same image, as by a caller whose answer was lost. */
  save(image: Image): Promise<void>;
  /** The names of all images. */
  names(): Promise<string[]>;
  /** The names of those with a word in their prompts. */
  find(word: string): Promise<string[]>;
  delete(names: string[]): Promise<void>;
  /** Returns how many are back. */
  undo(names: string[]): Promise<number>;
  /** Deletes them so that nobody can take it back. */
  purge(names: string[]): Promise<void>;
  bytes(): Promise<number>;
}

interface Image {
  number: number;
  prompt: string;
  bytes: Buffer;
}

const root = await mkdtemp(join(tmpdir(), 'image-storage-beside-'));
try {
  const table = [['a folder', await measured(await inFolder(join(root, 'folder')))]] as [string, string[]][];
  if (versitygwAvailable) {
    const server = await startVersitygw();
    table.push(['a bucket', await measured(inBucket(server.settings, await server.createBucket()))]);
    await server.stop();
  }
  const daemon = await startDaemon(join(root, 'outputs'));
  table.push(['ImageStorage', await measured(inDaemon(daemon.address, join(root, 'outputs')))]);
  await daemon.stop();
  print(table);
} finally {
  await rm(root, { recursive: true, force: true });
}

/** The cells of its column. */
async function measured(store: Store): Promise<string[]> {
  for (let number = 0; number < IMAGES; number += 1) {
    const prompt = `a ${number % RARE === 0 ? 'snowy owl' : 'red fox'} at dawn`;
    // As A1111 writes it.
    const text = { parameters: prompt };
    const bytes = pngOf({ width: 512, height: 512, seed: number, text, sizeBytes: IMAGE_BYTES });
    const image = { number, prompt, bytes };
    await store.save(image);
    await store.save(image);
  }
  const names = await store.names();
  const begun = performance.now();
  const found = await store.find('snowy owl');
  const ms = (performance.now() - begun).toFixed(0);
  const before = await store.bytes();
  const gone = names.slice(0, DELETED);
  await store.delete(gone);
  const back = await store.undo(gone);
  await store.purge(gone);
  const freedMb = (before - (await store.bytes())) / 1e6;
  return [String(names.length), `${found.length} in ${ms} ms`, `${back} of ${DELETED}`, `${freedMb.toFixed(0)} MB`];
}

function print(table: [string, string[]][]): void {
  const titles = [
    `images after ${IMAGES} saves, each made twice`,
    'found by a word of the prompt',
    `of ${DELETED} deleted, back`,
    'freed once they are deleted for good',
  ];
  console.log(`| | ${table.map(([name]) => name).join(' | ')} |\n| - |${' - |'.repeat(table.length)}`);
  for (const [row, title] of titles.entries())
    console.log(`| ${title} | ${table.map(([, cells]) => cells[row]).join(' | ')} |`);
}

/** As generators write: the next free number. */
async function inFolder(folder: string): Promise<Store> {
  await mkdir(folder);
  const pathOf = (name: string) => join(folder, name);
  let next = 0;
  const store: Store = {
    async save({ bytes }) {
      next += 1;
      await writeFile(pathOf(`${String(next).padStart(5, '0')}.png`), bytes);
    },
    names: () => readdir(folder),
    async find(word) {
      const names = await readdir(folder);
      const found = await Promise.all(names.map(async (name) => (await readFile(pathOf(name))).includes(word)));
      return names.filter((_, at) => found[at]);
    },
    delete: async (names) => void (await Promise.all(names.map((name) => rm(pathOf(name))))),
    undo: async (names) => (await readdir(folder)).filter((name) => names.includes(name)).length,
    purge: async () => {},
    bytes: () => bytesIn(folder),
  };
  return store;
}

/** As services write: a name of its own for each call. */
function inBucket(
  { accessKey = '', secretKey = '', ...server }: Awaited<ReturnType<typeof startVersitygw>>['settings'],
  bucket: string,
): Store {
  const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
  const s3 = new S3Client({ ...server, credentials, forcePathStyle: true });
  const at = { Bucket: bucket };
  const list = async () => (await s3.send(new ListObjectsV2Command(at))).Contents ?? [];
  const names = async () => (await list()).map(({ Key }) => Key!);
  return {
    save: async ({ bytes }) =>
      void (await s3.send(new PutObjectCommand({ ...at, Key: `${randomUUID()}.png`, Body: bytes }))),
    names,
    async find(word) {
      // The client has 50 connections at most.
      const keys = await names();
      const has = async (Key: string) => {
        const { Body } = await s3.send(new GetObjectCommand({ ...at, Key }));
        return Buffer.from(await Body!.transformToByteArray()).includes(word);
      };
      const found = await Promise.all(keys.map(has));
      return keys.filter((_, index) => found[index]);
    },
    delete: async (keys) => {
      for (const Key of keys) await s3.send(new DeleteObjectCommand({ ...at, Key }));
    },
    undo: async (keys) => (await names()).filter((name) => keys.includes(name)).length,
    purge: async () => {},
    bytes: async () => (await list()).reduce((sum, { Size = 0 }) => sum + Size, 0),
  };
}

function inDaemon(address: string, basePath: string): Store {
  const client = connect(address);
  const names = async (query = '') => {
    const found: string[] = [];
    for await (const { filename } of client.list({ query, view: 'row', order: 'oldest' })) found.push(filename);
    return found;
  };
  const timestamp = new Date();
  return {
    async save({ number, prompt, bytes }) {
      await client.save(bytes, { prompt, model: 'demo', timestamp }, { idempotencyKey: `image-${number}` });
    },
    names,
    find: names,
    delete: async (filenames) => void (await client.delete(filenames)),
    undo: async (filenames) => (await client.restore(filenames)).filter(({ restored }) => restored).length,
    async purge(filenames) {
      await client.delete(filenames, { permanent: true });
      client.close();
    },
    bytes: () => bytesIn(join(basePath, 'images'), join(basePath, 'metadata/trash')),
  };
}

async function bytesIn(...folders: string[]): Promise<number> {
  let sum = 0;
  for (const folder of folders) {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
    for (const entry of entries) if (entry.isFile()) sum += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return sum;
}
