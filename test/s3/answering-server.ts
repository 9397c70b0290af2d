/** A service on this machine whose answers a test gives, and a store of objects that asks it. */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ObjectStore } from '../../src/storage/bucket/object-store.ts';
import { s3Objects } from '../../src/storage/s3/objects.ts';

export interface AnsweringServer extends AsyncDisposable {
  /** Of the bucket `b`, below the prefix `it (is)`. */
  objects: ObjectStore;
}

export async function startAnsweringServer(answer: RequestListener): Promise<AnsweringServer> {
  const server = createServer(answer);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const keys = { accessKey: 'AKID', secretKey: 'secret' };
  const objects = s3Objects({ type: 's3', bucket: 'b', region: 'us-east-1', prefix: 'it (is)', endpoint, ...keys });
  return {
    objects,
    async [Symbol.asyncDispose]() {
      objects.close?.();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Takes the next answer; the last one is given again and again. */
export function nextOf<T>(answers: T[]): T {
  return answers.length > 1 ? answers.shift()! : answers[0]!;
}
