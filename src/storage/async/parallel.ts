/** Processes a list with bounded concurrency. */

/**
 * Runs `work` for each item, at most `atOnce` at once. Rejects with the first failure, once all running work has ended.
 */
export async function inParallel<T>(
  atOnce: number,
  items: Iterable<T> | AsyncIterable<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  for await (const _ of mapInParallel(atOnce, items, work));
}

/**
 * Yields the result of `work` for each item, in the order of the items. Throws the first failure, once all running work
 * has ended.
 */
export async function* mapInParallel<T, R>(
  atOnce: number,
  items: Iterable<T> | AsyncIterable<T>,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const running: Promise<R>[] = [];
  try {
    for await (const item of items) {
      const result = work(item);
      result.catch(() => undefined);
      running.push(result);
      if (running.length >= atOnce) yield await running.shift()!;
    }
    while (running.length > 0) yield await running.shift()!;
  } finally {
    await Promise.allSettled(running);
  }
}
