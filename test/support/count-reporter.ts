/** Ends a run with one line, `N passed, N failed`, and before it names every test that was skipped, and why. */
import type { Reporter, TestCase, TestModule } from 'vitest/node';

let modules: readonly TestModule[] = [];

export const countReporter: Reporter = {
  // The coverage report comes after the last event of a run; only the exit is later.
  onInit() {
    process.once('exit', (exitCode) => process.stdout.write(closing(exitCode)));
  },
  onTestRunEnd(finished) {
    modules = finished;
  },
};

function closing(exitCode: number): string {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const count = (state: string) => tests.filter((test) => test.result().state === state).length;
  const skipped = tests.filter((test) => test.result().state === 'skipped');
  // A run can fail without a failed test: coverage below the threshold, an error outside of all tests.
  const failed = Math.max(count('failed') + brokenSuites(), exitCode === 0 ? 0 : 1);
  const counts = `${count('passed')} passed, ${failed} failed`;
  return [...skipped.map(skipLine), skipped.length > 0 ? `${counts}, ${skipped.length} skipped` : counts, ''].join(
    '\n',
  );
}

/** Files that do not load, and suites whose hooks fail. */
function brokenSuites(): number {
  const suites = modules.flatMap((module) => [module, ...module.children.allSuites()]);
  return suites.filter((suite) => suite.errors().length > 0).length;
}

function skipLine(test: TestCase): string {
  const result = test.result();
  const why = result.state === 'skipped' && result.note ? ` (${result.note})` : '';
  return `SKIPPED ${test.module.relativeModuleId} > ${test.fullName}${why}`;
}
