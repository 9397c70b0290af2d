/** Waits for what a scrape asks, but not for long. */

/** A disk or a catalog that does not answer leaves its numbers out. */
const WAIT_MS = 2_000;

/** Returns undefined where the work fails, or is not done in time. */
export async function answerOf<T>(work: Promise<T>): Promise<T | undefined> {
  const { promise: tooLate, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), WAIT_MS);
  try {
    return await Promise.race([work, tooLate]);
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}
