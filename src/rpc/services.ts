/** Everything the daemon answers over gRPC: ImageStorage, Maintenance, health and, where it may, reflection. */
import type { ConnectRouter } from '@connectrpc/connect';
import { Health } from '../../gen/health/v1/health_pb.ts';
import { ImageStorage } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { Maintenance } from '../../gen/imagestorage/v1/maintenance_pb.ts';
import type { Storage } from '../storage/types.ts';
import { createHealth } from './health.ts';
import { createMaintenance } from './maintenance.ts';
import { addReflection } from './reflection.ts';
import { createRoutes } from './routes.ts';
import type { SaveStreamLimits } from './save-stream.ts';

/** Field numbers and lengths of a message, and whatever of a header is not metadata. */
const FRAMING_BYTES = 64 * 1024;

export interface ServiceOptions {
  storage: Storage;
  save: SaveStreamLimits;
  maxMetadataBytes: number;
  /** Whose health is that of the daemon. */
  defaultProvider: string;
  /** Whether clients may ask for the descriptors. */
  reflection: boolean;
  /** Ends the streams that would never end by themselves. */
  shutdown: AbortSignal;
}

export function addServices(router: ConnectRouter, options: ServiceOptions): void {
  const { storage, defaultProvider, save, maxMetadataBytes, reflection, shutdown } = options;
  const routes = createRoutes(storage, save);
  const readMaxBytes = Math.max(save.maxChunkBytes, maxMetadataBytes) + FRAMING_BYTES;
  router.service(ImageStorage, routes).rpc(ImageStorage.method.save, routes.save, { readMaxBytes });
  router.service(Maintenance, createMaintenance(storage));
  router.service(Health, createHealth(storage, defaultProvider, shutdown));
  if (reflection) addReflection(router, [ImageStorage, Maintenance, Health], shutdown);
}
