/** An S3 server over a bucket in memory that goes wrong as it is told: by a plan, or at a single request. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ObjectStore } from '../../src/storage/bucket/object-store.ts';
import type { S3Config } from '../../src/storage/index.ts';
import type { MemoryBucket } from '../../src/storage/providers/memory-storage.ts';
import { memoryObjects } from '../../src/storage/providers/memory-storage.ts';
import { FAULTS, type Fault, type FaultName, type FaultPlan } from './s3-faults.ts';
import { answerTo, errorAnswer, type Operation, requestOf, type S3Answer, type S3Request } from './s3-protocol.ts';

const BUCKET = 'images';
const PAUSE_MS = 20;

/** Which requests are meant. */
export type Matches = (request: S3Request) => boolean;

/** Those for the object of an image, or for its record. */
export const requestsOf =
  (what: 'images' | 'metadata', operation: Operation): Matches =>
  (request) =>
    request.operation === operation && request.key.startsWith(`outputs/${what}/generations/`);

interface LateWrite {
  key: string;
  arrive: () => Promise<S3Answer>;
}

export interface S3FaultServerOptions {
  /** How many objects a List gives at once; default 1,000. */
  pageSize?: number;
  /** What the service does otherwise than it should, whoever asks. */
  otherwise?: (objects: ObjectStore, bucket: MemoryBucket) => Partial<ObjectStore>;
}

export async function startS3FaultServer(options: S3FaultServerOptions = {}): Promise<S3FaultServer> {
  const server = new S3FaultServer(options);
  await server.listen();
  return server;
}

export class S3FaultServer implements AsyncDisposable {
  /** What it holds. */
  readonly bucket: MemoryBucket = new Map();
  /** Each fault by its name, and how often it happened. */
  readonly happened = new Map<FaultName, number>();
  /** Writes that came late to an object that had been deleted or overwritten since. */
  lateWrites = 0;
  requests = 0;
  /** Default: nothing goes wrong. */
  plan: FaultPlan = () => undefined;
  /** How far its clock is ahead of ours. */
  aheadMs = 0;
  /** The answer to a request that is not carried out. Default: none is refused. */
  refuse: (request: S3Request) => S3Answer | undefined = () => undefined;
  readonly #objects: ObjectStore;
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  #next: { fault: FaultName; matches: Matches; happens: (request: S3Request) => void }[] = [];
  #late: LateWrite[] = [];

  constructor({ pageSize, otherwise }: S3FaultServerOptions) {
    const objects = memoryObjects(this.bucket, { pageSize });
    this.#objects = { ...objects, ...otherwise?.(objects, this.bucket) };
  }

  async listen(): Promise<void> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
  }

  /** What a provider needs to know of it. */
  get settings(): Pick<S3Config, 'type' | 'endpoint' | 'region' | 'bucket' | 'accessKey' | 'secretKey'> {
    const { port } = this.#server.address() as AddressInfo;
    const credentials = { accessKey: 'any', secretKey: 'any' };
    return { type: 's3', endpoint: `http://127.0.0.1:${port}`, region: 'us-east-1', bucket: BUCKET, ...credentials };
  }

  /** The next request that matches goes wrong so, whatever the plan; resolves when that happens. */
  breakNext(fault: FaultName, matches: Matches): Promise<S3Request> {
    return new Promise((happens) => {
      this.#next.push({ fault, matches, happens });
    });
  }

  /** From now on all goes well, and what was late has arrived. */
  async heal(): Promise<void> {
    this.plan = () => undefined;
    this.refuse = () => undefined;
    this.dropConnections();
    await this.deliverLate();
  }

  async deliverLate(): Promise<void> {
    for (const { arrive } of this.#late.splice(0)) await arrive();
  }

  /** Also those of requests that stall. */
  dropConnections(): void {
    this.#server.closeAllConnections();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dropConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = requestOf(incoming);
    this.requests += 1;
    response.setHeader('date', new Date(Date.now() + this.aheadMs).toUTCString());
    const { fault, happens } = this.#faultOf(request);
    try {
      const body = await receive(incoming, fault.receive);
      const answer = await this.#carryOut(request, body, fault);
      happens();
      await send(response, fault, answer);
    } catch {
      // The client has gone; what it had not sent whole was not carried out.
      response.destroy();
    }
  }

  #faultOf(request: S3Request): { fault: Fault; happens: () => void } {
    const index = this.#next.findIndex(({ matches }) => matches(request));
    const wanted = index < 0 ? undefined : this.#next.splice(index, 1)[0];
    const name = wanted?.fault ?? this.plan(request);
    if (name === undefined) return { fault: {}, happens: () => {} };
    const happens = () => {
      this.happened.set(name, (this.happened.get(name) ?? 0) + 1);
      wanted?.happens(request);
    };
    return { fault: FAULTS[name], happens };
  }

  async #carryOut(request: S3Request, body: Buffer, { apply }: Fault): Promise<S3Answer> {
    if (request.bucket !== BUCKET) return errorAnswer(404, 'NoSuchBucket');
    const refusal = this.refuse(request);
    if (refusal !== undefined) return refusal;
    const arrive = () => answerTo(this.#objects, request, body);
    const answer = apply === 'never' || apply === 'late' ? undefined : await arrive();
    if (answer !== undefined && changesObject(request, answer)) await this.#deliverLateTo(request.key);
    if (apply === 'late' || apply === 'twice') this.#late.push({ key: request.key, arrive });
    return answer ?? errorAnswer(500, 'InternalError');
  }

  async #deliverLateTo(key: string): Promise<void> {
    const due = this.#late.filter((write) => write.key === key);
    this.#late = this.#late.filter((write) => write.key !== key);
    this.lateWrites += due.length;
    for (const { arrive } of due) await arrive();
  }
}

/** By a Delete, or a tombstone in the place of a record. */
function changesObject({ operation, headers }: S3Request, { status }: S3Answer): boolean {
  return operation === 'DELETE' || (status === 200 && headers['if-match'] !== undefined);
}

async function receive(request: IncomingMessage, how: Fault['receive']): Promise<Buffer> {
  const half = Number(request.headers['content-length'] ?? 0) / 2;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    const before = size;
    size += chunk.length;
    chunks.push(chunk);
    if (before >= half || size < half) continue;
    if (how === 'half') break;
    if (how === 'slowly') await sleep(PAUSE_MS);
  }
  return Buffer.concat(chunks);
}

async function send(response: ServerResponse, { answer, send: how }: Fault, right: S3Answer): Promise<void> {
  const socket = response.socket!;
  if (answer === 'silence') return;
  if (answer === 'reset') return void socket.resetAndDestroy();
  if (answer === 'half-close') return void socket.end();
  const { status, headers, body } = answer ?? right;
  response.writeHead(status, status === 204 ? headers : { ...headers, 'content-length': body.length });
  if (how === undefined) return void response.end(body);
  const half = Math.floor(body.length / 2);
  response.write(body.subarray(0, half));
  await sleep(PAUSE_MS);
  if (how === 'half') socket.end();
  if (how === 'slowly') response.end(body.subarray(half));
}
