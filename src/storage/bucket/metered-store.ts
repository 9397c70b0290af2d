/** Counts the requests to an object store: each attempt on its own, by what became of it. */
import type { BackendCall, Meter } from '../domain/meter.ts';
import { type ObjectStore, ObjectStoreError } from './object-store.ts';

/** Returns the same store; a `get` counts until its headers are there. */
export function metered(store: ObjectStore, meter: Meter | undefined): ObjectStore {
  if (meter === undefined) return store;
  const counted = async <T>(operation: BackendCall['operation'], call: Promise<T>): Promise<T> => {
    const began = performance.now();
    const end = (outcome: string) => meter.backendCalled({ operation, outcome, ms: performance.now() - began });
    try {
      const result = await call;
      end('ok');
      return result;
    } catch (error) {
      end(error instanceof ObjectStoreError ? error.failure : 'unavailable');
      throw error;
    }
  };
  return {
    location: store.location,
    putNew: (...args) => counted('put', store.putNew(...args)),
    replaceIf: (...args) => counted('put', store.replaceIf(...args)),
    get: (...args) => counted('get', store.get(...args)),
    list: (...args) => counted('list', store.list(...args)),
    remove: (...args) => counted('delete', store.remove(...args)),
    close: () => store.close?.(),
  };
}
