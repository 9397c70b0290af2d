/** A network between a daemon and its bucket that loses, delays and repeats what is sent, and a daemon that may die. */
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { type ObjectStore, ObjectStoreError, type Payload } from '../../src/storage/bucket/object-store.ts';

/** Requests on their way, whoever sent them. */
export class LateRequests {
  readonly #requests: (() => Promise<unknown>)[] = [];

  add(request: () => Promise<unknown>): void {
    this.#requests.push(request);
  }

  /** Lets some of them arrive, in any order; all of them without a chance. */
  async arrive(random: () => number = () => 0, chance = 1): Promise<void> {
    for (const request of this.#requests.splice(0)) {
      if (random() < chance) await request().catch(() => {});
      else this.#requests.push(request);
    }
  }
}

export interface FaultyOptions {
  random: () => number;
  late: LateRequests;
}

type Fault = 'refused' | 'forbidden' | 'request lost' | 'answer lost' | 'delayed' | 'repeated' | 'repeated unseen';
const FAULTS: Fault[] = [
  'refused',
  'request lost',
  'answer lost',
  'answer lost',
  'delayed',
  'repeated',
  'repeated unseen',
];

export class FaultyObjects implements ObjectStore {
  readonly location: string;
  /** How many of the requests go wrong. */
  rate = 0;
  readonly #objects: ObjectStore;
  readonly #random: () => number;
  readonly #late: LateRequests;
  #turnsToLive = Number.POSITIVE_INFINITY;
  readonly #died = Promise.withResolvers<void>();

  constructor(objects: ObjectStore, { random, late }: FaultyOptions) {
    this.location = objects.location;
    this.#objects = objects;
    this.#random = random;
    this.#late = late;
  }

  /** Settles when the daemon dies: from then on no request is sent and no answer arrives. */
  get died(): Promise<void> {
    return this.#died.promise;
  }

  get isDead(): boolean {
    return this.#turnsToLive <= 0;
  }

  /** Dies before or after one of the next primitives. */
  dieWithin(turns: number): void {
    this.#turnsToLive = turns;
  }

  /** From now on all goes well. */
  heal(): void {
    this.rate = 0;
    this.#turnsToLive = Number.POSITIVE_INFINITY;
  }

  die(): void {
    this.#turnsToLive = 0;
    this.#died.resolve();
  }

  async putNew(...[key, body, headers]: Parameters<ObjectStore['putNew']>): Promise<{ etag: string }> {
    const sent = await captured(body);
    return this.#write(() => this.#objects.putNew(key, sent, headers));
  }

  async replaceIf(...[key, body, headers, etag]: Parameters<ObjectStore['replaceIf']>): Promise<{ etag: string }> {
    const sent = await captured(body);
    return this.#write(() => this.#objects.replaceIf(key, sent, headers, etag));
  }

  remove(key: string): Promise<void> {
    return this.#write(() => this.#objects.remove(key));
  }

  async get(...args: Parameters<ObjectStore['get']>): ReturnType<ObjectStore['get']> {
    const object = await this.#read(() => this.#objects.get(...args));
    return this.#random() < this.rate ? { ...object, body: this.#broken(object.body) } : object;
  }

  list(...args: Parameters<ObjectStore['list']>): ReturnType<ObjectStore['list']> {
    return this.#read(() => this.#objects.list(...args));
  }

  async #read<T>(request: () => Promise<T>): Promise<T> {
    await this.#turn();
    if (this.#random() < this.rate) throw lost(false);
    const answer = await request().catch((error) => error);
    await this.#turn();
    if (answer instanceof Error) throw answer;
    return answer;
  }

  async #write<T>(request: () => Promise<T>): Promise<T> {
    await this.#turn();
    const answer = await this.#deliver(request, this.#pickFault()).catch((error) => error);
    await this.#turn();
    if (answer instanceof Error) throw answer;
    return answer;
  }

  async #deliver<T>(request: () => Promise<T>, fault: Fault | undefined): Promise<T> {
    if (fault === undefined) return request();
    if (fault === 'refused') throw lost(false);
    if (fault === 'forbidden') throw new ObjectStoreError('auth', 'forbidden');
    if (fault === 'request lost') throw lost(true);
    if (fault === 'delayed') {
      this.#late.add(request);
      throw lost(true);
    }
    const answer = await request();
    if (fault === 'answer lost') throw lost(true);
    if (fault === 'repeated unseen') return request();
    this.#late.add(request);
    return answer;
  }

  #pickFault(): Fault | undefined {
    if (this.#random() >= this.rate) return undefined;
    if (this.#random() < 0.02) return 'forbidden';
    return FAULTS[Math.floor(this.#random() * FAULTS.length)];
  }

  /** Lets others go first, and never comes back in a dead daemon. */
  async #turn(): Promise<void> {
    await turn();
    this.#turnsToLive -= 1;
    if (!this.isDead) return;
    this.die();
    await new Promise(() => {});
  }

  /** Ends early, or breaks. */
  #broken(body: Readable): Readable {
    const breaks = this.#random() < 0.5;
    return Readable.from(
      (async function* () {
        for await (const chunk of body as AsyncIterable<Buffer>) yield chunk.subarray(0, chunk.length / 2);
        if (breaks) throw new Error('connection reset');
      })(),
    );
  }
}

function lost(maybeApplied: boolean): ObjectStoreError {
  return new ObjectStoreError('unavailable', 'no answer', { maybeApplied });
}

/** The bytes as they are now, whatever becomes of their source. */
async function captured(body: Payload): Promise<Payload> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body.open()) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  return { ...body, open: () => [bytes] };
}
