/** The provider type `local`: images in a directory. */
import { join, resolve } from 'node:path';
import * as z from 'zod';
import { DEFAULT_BASE_PATH, DEFAULT_LOCAL_TRASH_DAYS, type LocalConfig } from '../domain/config.ts';
import { byteSize, folder, mode } from '../domain/setting-kinds.ts';
import { Layout } from '../local/layout.ts';
import type { ProviderContext, StorageProvider } from '../types.ts';
import { create, lockWaitSeconds, required, trashDays } from './common-settings.ts';
import type { ProviderType } from './provider-type.ts';

const settings = z
  .strictObject({
    type: z.literal('local').describe('A folder on this machine. Default: the name of the provider.'),
    basePath: folder()
      .default(DEFAULT_BASE_PATH)
      .describe('The root folder, relative to the working directory. Default: ./outputs.'),
    fileMode: mode(/^0?6[0246]{2}$/, '0640')
      .optional()
      .describe('Permissions of images and records, in octal; 0600 keeps them to one user. Default: as the umask says.')
      .meta({ examples: ['0640'] }),
    create: create('folder'),
    trash: z
      .strictObject({
        days: trashDays(DEFAULT_LOCAL_TRASH_DAYS, '7'),
        minFreeBytes: byteSize()
          .optional()
          .describe(
            'Below this free space images of the trash are purged, the oldest first. Default: 5% of the disk, at most 2GiB.',
          )
          .meta({ examples: ['2GiB'] }),
      })
      .prefault({}),
    minFreeBytes: byteSize()
      .optional()
      .describe('Refuse saves that would leave less of the disk free. Default: none, a full disk refuses them.')
      .meta({ examples: ['10GiB'] }),
    maxStoreBytes: byteSize()
      .optional()
      .describe('Refuse saves that would make all images larger, those in the trash included. Default: no limit.')
      .meta({ examples: ['500GiB'] }),
    onFull: z
      .enum(['refuse', 'evict'])
      .default('refuse')
      .describe(
        'At these limits the trash gives way; evict then deletes the oldest images that are not pinned, for good. Default: refuse.',
      ),
    lockWaitSeconds: lockWaitSeconds('folder'),
    required: required(),
  })
  .superRefine(checkTogether);

/** Reports settings of a folder that are valid by themselves but not together. */
function checkTogether({ minFreeBytes, maxStoreBytes, onFull }: Partial<LocalConfig>, context: z.RefinementCtx): void {
  if (onFull !== 'evict' || minFreeBytes !== undefined || maxStoreBytes !== undefined) return;
  const message = 'must not be evict without minFreeBytes or maxStoreBytes: at a full disk nothing is evicted';
  context.addIssue({ code: 'custom', path: ['onFull'], message });
}

/** Opens the store below `basePath`, creating it on first use. Rejects with a StoreOpenError. */
export async function openLocalStorage(config: LocalConfig, context: ProviderContext): Promise<StorageProvider> {
  return (await import('./local-provider.ts')).openLocalProvider(config, context);
}

export const localStorage: ProviderType<LocalConfig> = {
  type: 'local',
  alias: 'project',
  settings,
  folder: 'basePath',
  ownFolders(basePath) {
    const { images, records } = new Layout(basePath);
    return [images, records];
  },
  stateFile: ({ basePath }, _name, file) => join(new Layout(basePath).metadata, file),
  where: ({ basePath }) => basePath,
  root: ({ basePath }) => ({ setting: 'basePath', place: resolve(basePath), kind: 'folder' }),
  open: openLocalStorage,
  async *examine(config, name, maxImageBytes) {
    yield* (await import('../doctor/local.ts')).examineLocal(config, name, maxImageBytes);
  },
};
