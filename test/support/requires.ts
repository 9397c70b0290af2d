/** Marks suites that need what a machine may lack: skipped loudly on a laptop, failed in CI. */
import { describe, it } from 'vitest';

type Suite = (name: string, body: () => void) => void;

/**
 * `describe` where `what` is available. Elsewhere the body never runs: a single test in its place is skipped, or fails
 * under `CI=true`, and names what is missing.
 */
export function requires(what: string, available: boolean): Suite {
  if (available) return describe;
  return (name) =>
    describe(name, () => {
      it(`needs ${what}`, ({ skip }) => {
        if (process.env.CI === 'true') throw new Error(`missing here, and CI must not skip: ${what}`);
        skip(`missing here: ${what}`);
      });
    });
}
