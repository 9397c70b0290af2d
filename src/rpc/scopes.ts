/** What each rpc asks of its caller. */
import type { DescMethod } from '@bufbuild/protobuf';
import { Health } from '../../gen/health/v1/health_pb.ts';
import { ImageStorage } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { Maintenance } from '../../gen/imagestorage/v1/maintenance_pb.ts';
import type { Scope } from '../auth/scope.ts';

/** A scope, or `none` where nobody is asked. */
export type Need = Scope | 'none';

type NeedsOf<Methods> = Record<keyof Methods, Need>;

const IMAGE_STORAGE: NeedsOf<typeof ImageStorage.method> = {
  save: 'write',
  get: 'read',
  list: 'read',
  update: 'write',
  delete: 'delete',
  cleanup: 'delete',
  restore: 'delete',
  listTrash: 'delete',
  purge: 'delete',
  stats: 'read',
};

const MAINTENANCE: NeedsOf<typeof Maintenance.method> = { verify: 'admin', copy: 'admin' };

const HEALTH: NeedsOf<typeof Health.method> = { check: 'none', list: 'none', watch: 'none' };

const NEEDS = new Map<string, Readonly<Record<string, Need>>>([
  [ImageStorage.typeName, IMAGE_STORAGE],
  [Maintenance.typeName, MAINTENANCE],
  [Health.typeName, HEALTH],
]);

/** Of reflection, whichever version. */
const OF_OTHER_SERVICES: Need = 'read';

export function needOf({ parent, localName }: DescMethod): Need {
  const ofService = NEEDS.get(parent.typeName);
  return ofService === undefined ? OF_OTHER_SERVICES : (ofService[localName] ?? 'admin');
}
