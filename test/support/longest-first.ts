/** The order of the test files: what takes long begins early, so that nothing is left to wait for at the end. */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take long, the longest first; a new file begins after them. */
const LONG = [
  'crash/crash',
  'interop/interop',
  'crash/power-cut',
  'maintenance/verify',
  'crash/kill',
  'providers/optional-provider',
  'maintenance/copy',
  'maintenance/copy-refusals',
  'cli/maintenance-cli',
  'crash/s3-kill',
  'bucket/s3-each-fault',
  'crash/io-errors',
  'doctor/bucket',
  's3/s3-storage',
  'cli/cli',
  'local/local-storage',
  'bucket/memory-storage',
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const at = LONG.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      return at < 0 ? LONG.length : at;
    };
    const group = ({ project }: TestSpecification) => project.config.sequence.groupOrder;
    return files.sort((a, b) => group(a) - group(b) || place(a) - place(b));
  }
}
