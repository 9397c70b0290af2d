/** Works through what a generator finds, so many items at once. */

/** The first failure ends it, once what runs is done, and is what it rejects with. */
export async function inParallel<T>(
  atOnce: number,
  items: AsyncGenerator<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  const drain = async () => {
    for await (const item of items) {
      await work(item).catch((error) => failures.push(error));
      if (failures.length > 0) break;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, drain));
  if (failures.length > 0) throw failures[0];
}
