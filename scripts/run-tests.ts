/** Runs tests for scripts that continue only where all of them have passed. */
import { startVitest } from 'vitest/node';

/** Returns false where a test failed or was skipped, or where there was none. */
export async function allPass(
  filters: string[],
  options: { config?: string; project?: string[] } = {},
): Promise<boolean> {
  const { state } = await startVitest(filters, { watch: false, ...options });
  const tests = state.getTestModules().flatMap((module) => [...module.children.allTests()]);
  return !process.exitCode && tests.length > 0 && tests.every((test) => test.result().state === 'passed');
}
