/** The order of the test files: what takes long begins early, so that nothing is left to wait for at the end. */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take long, the longest first; a new file begins after them. */
const LONG = [
  'crash/crash',
  'crash/kill',
  'interop/interop',
  'cli/process',
  'crash/power-cut',
  'providers/optional-provider',
  'cli/import',
  'maintenance/verify',
  'gallery/page',
  'crash/io-errors',
  's3/s3-storage',
  'crash/s3-kill',
  'cli/cli',
  'bucket/s3-each-fault',
  'gallery/people',
  'release/bundle',
  'bucket/postgres',
  'local/trash',
  'local/local-storage',
  'bucket/s3-answers',
  'crash/mixed-store',
  'rpc/daemon',
  'maintenance/copy-refusals',
  'cli/maintenance-cli',
  'cli/own-stores',
  'crash/disk-full-to-the-end',
  'bucket/shared-bucket',
  'previews/older-images',
  'bucket/memory-storage',
  'retention/policies',
  'providers/life-model',
  'cli/main-job',
  'cli/import-move',
  'maintenance/copy',
  'mcp/mcp',
  'bucket/roll-call',
  'async/slots',
  'doctor/bucket',
  'deploy/h2spec',
  'deploy/fleet',
  'crash/disk-full',
  'formats/inspector',
  'bucket/outages',
  'formats/zero-tail',
  'bucket/fleet',
  'catalog/postgres',
  'catalog/text-lookup',
  'examples/examples-python',
  'catalog/migration',
  'client/client',
  'local/missing-store',
  'local/older-store',
  'bucket/comparison',
  'maintenance/copy-many',
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
