/** The file of a local store with the runs of its policies. */
import { readText, replaceFile } from '../disk/files.ts';
import type { LocalStore } from './store.ts';

/** Its writes do not fail for lack of space: what runs by itself makes some. */
export function policyRunsOf({ layout: { policyRuns }, condition, reserve }: LocalStore) {
  return {
    read: () => readText(policyRuns),
    async write(text: string): Promise<void> {
      await condition.checkWritable();
      await reserve.lend(() => replaceFile(policyRuns, text));
    },
  };
}
