/** The order of the test files: what takes long begins early, so that nothing is left to wait for at the end. */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take long, the longest first; a new file begins after them. */
const LONG = [
  'crash/crash',
  'crash/kill',
  'crash/power-cut',
  'providers/optional-provider',
  'maintenance/verify',
  'cli/process',
  'cli/import',
  'bucket/s3-answers',
  'client/client',
  'interop/interop',
  'crash/disk-full-to-the-end',
  'bucket/s3-each-fault',
  'cli/cli',
  'maintenance/copy-refusals',
  'maintenance/copy-many',
  'catalog/migration',
  'cli/maintenance-cli',
  'crash/s3-kill',
  'crash/mixed-store',
  's3/s3-storage',
  'bucket/shared-bucket',
  'release/bundle',
  'gallery/page',
  'gallery/people',
  'gallery/live',
  'gallery/cull',
  'crash/io-errors',
  'maintenance/copy',
  'async/slots',
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
