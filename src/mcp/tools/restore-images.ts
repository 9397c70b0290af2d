/** The tool `restore_images`: brings deleted images back from the trash. */
import { z } from 'zod';
import type { ImageStorageClient } from '../../client.ts';
import type { Deleted } from '../confirmation.ts';
import { ToolError } from '../errors.ts';
import { firstOf } from '../length.ts';
import type { Recent } from '../recent.ts';
import { type AddTool, UPDATES } from '../tool.ts';

const MAX_FILENAMES = 1000;

export function addRestoreImages(addTool: AddTool, client: ImageStorageClient, deletions: Recent<Deleted>): void {
  addTool({
    name: 'restore_images',
    title: 'Restore deleted images',
    description: 'Brings images back from the trash, as they were.',
    annotations: UPDATES,
    input: z.strictObject({
      filenames: z.array(z.string()).min(1).max(MAX_FILENAMES).optional().describe('As list_trash gives them'),
      confirm_token: z.string().optional().describe('Instead: of a deletion, all that it deleted'),
      provider: z.string().optional(),
    }),
    async run({ filenames, confirm_token, provider }, signal) {
      const deleted = deletions.get(confirm_token);
      const named = filenames ?? deleted?.filenames;
      if (named === undefined) {
        throw new ToolError(
          'Give filenames, which list_trash finds, or the confirm_token of a deletion of this session.',
        );
      }
      const results = await client.restore(named, { provider: provider ?? deleted?.provider, signal });
      const notRestored = results.filter(({ restored }) => !restored);
      const failures = notRestored.map(({ filename, reason }) => ({
        filename,
        reason: reason === 'NOT_DELETED' ? 'it is not deleted' : reason,
      }));
      return { value: { restored: results.length - failures.length, notRestored: firstOf(failures) } };
    },
  });
}
