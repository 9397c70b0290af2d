/** Adds the services of the daemon: ImageStorage, Maintenance, health and, where allowed, reflection. */
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

/** Room for the field tags and lengths of a message, and for the fields of a header that are not metadata. */
const FRAMING_BYTES = 64 * 1024;

export interface ServiceOptions {
  storage: Storage;
  save: SaveStreamLimits;
  maxMetadataBytes: number;
  /** The provider whose health is that of the daemon. */
  defaultProvider: string;
  /** Whether clients may ask for the descriptors. */
  reflection: boolean;
  /** Fires when the daemon is about to stop accepting; health says so from then on. */
  leaving: AbortSignal;
  /** Ends the streams that never end by themselves. */
  shutdown: AbortSignal;
}

export function addServices(router: ConnectRouter, options: ServiceOptions): void {
  const { storage, defaultProvider, save, maxMetadataBytes, reflection, leaving, shutdown } = options;
  const routes = createRoutes(storage, save);
  const readMaxBytes = Math.max(save.maxChunkBytes, maxMetadataBytes) + FRAMING_BYTES;
  router.service(ImageStorage, routes).rpc(ImageStorage.method.save, routes.save, { readMaxBytes });
  router.service(Maintenance, createMaintenance(storage));
  router.service(Health, createHealth(storage, defaultProvider, { leaving, shutdown }));
  if (reflection) addReflection(router, [ImageStorage, Maintenance, Health], shutdown);
}
