/** Decides who is next: the peer that holds least, of it the connection that holds least, of that who came first. */
import type { Caller } from '../domain/caller.ts';

/** Counts what callers hold of something scarce. */
export class Holdings {
  #total = 0;
  readonly #peers = new Map<string, number>();
  readonly #connections = new Map<number, number>();

  get total(): number {
    return this.#total;
  }

  ofPeer({ peer }: Caller): number {
    return this.#peers.get(peer) ?? 0;
  }

  ofConnection({ connection }: Caller): number {
    return this.#connections.get(connection) ?? 0;
  }

  /** Adds an amount, or takes a negative one away. */
  add(caller: Caller, amount: number): void {
    this.#total += amount;
    addTo(this.#peers, caller.peer, amount);
    addTo(this.#connections, caller.connection, amount);
  }
}

function addTo<K>(counts: Map<K, number>, key: K, amount: number): void {
  const count = (counts.get(key) ?? 0) + amount;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}

interface Entry<T> {
  caller: Caller;
  item: T;
}

/** Of equals, the one that was served longest ago is next; without holdings, all are equals. */
export class FairQueue<T> {
  readonly #holdings: Holdings | undefined;
  readonly #peers = new Map<string, Map<number, Set<Entry<T>>>>();
  #size = 0;

  constructor(holdings?: Holdings) {
    this.#holdings = holdings;
  }

  get size(): number {
    return this.#size;
  }

  *[Symbol.iterator](): Generator<T> {
    for (const connections of this.#peers.values()) {
      for (const entries of connections.values()) for (const { item } of entries) yield item;
    }
  }

  /** Returns a function that withdraws the item; it does nothing once the item was shifted. */
  push(caller: Caller, item: T): () => void {
    const entry = { caller, item };
    const { peer, connection } = caller;
    const connections = this.#peers.get(peer) ?? new Map<number, Set<Entry<T>>>();
    const entries = connections.get(connection) ?? new Set<Entry<T>>();
    this.#peers.set(peer, connections);
    connections.set(connection, entries);
    entries.add(entry);
    this.#size += 1;
    return () => this.#remove(entry);
  }

  /** Removes the next item that is accepted, and returns it; of each connection only the first is asked for. */
  shift(accepts: (item: T, caller: Caller) => boolean = () => true): T | undefined {
    for (const connections of this.#peersByShare()) {
      for (const entries of this.#connectionsByShare(connections)) {
        const [first] = entries;
        if (first === undefined || !accepts(first.item, first.caller)) continue;
        this.#remove(first);
        this.#moveBehind(first.caller);
        return first.item;
      }
    }
    return undefined;
  }

  #peersByShare(): Iterable<Map<number, Set<Entry<T>>>> {
    const holdings = this.#holdings;
    if (holdings === undefined) return this.#peers.values();
    const heldBy = (peer: string) => holdings.ofPeer({ peer, connection: 0 });
    return [...this.#peers].sort(([a], [b]) => heldBy(a) - heldBy(b)).map(([, connections]) => connections);
  }

  #connectionsByShare(connections: Map<number, Set<Entry<T>>>): Iterable<Set<Entry<T>>> {
    const holdings = this.#holdings;
    if (holdings === undefined) return connections.values();
    const heldBy = (connection: number) => holdings.ofConnection({ peer: '', connection });
    return [...connections].sort(([a], [b]) => heldBy(a) - heldBy(b)).map(([, entries]) => entries);
  }

  #remove(entry: Entry<T>): void {
    const { peer, connection } = entry.caller;
    const connections = this.#peers.get(peer);
    const entries = connections?.get(connection);
    if (!entries?.delete(entry)) return;
    this.#size -= 1;
    if (entries.size === 0) connections!.delete(connection);
    if (connections!.size === 0) this.#peers.delete(peer);
  }

  #moveBehind({ peer, connection }: Caller): void {
    const connections = this.#peers.get(peer);
    if (connections === undefined) return;
    moveToEnd(this.#peers, peer);
    moveToEnd(connections, connection);
  }
}

function moveToEnd<K, V>(map: Map<K, V>, key: K): void {
  const value = map.get(key);
  if (value === undefined) return;
  map.delete(key);
  map.set(key, value);
}
