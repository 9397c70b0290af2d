/** Adds the services of the daemon: ImageStorage, Maintenance, health and, where allowed, reflection. */
import type { DescMethod } from '@bufbuild/protobuf';
import type { ConnectRouter } from '@connectrpc/connect';
import { Health } from '../../gen/health/v1/health_pb.ts';
import { ImageStorage, SaveRequestSchema } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { Maintenance } from '../../gen/imagestorage/v1/maintenance_pb.ts';
import type { Storage } from '../storage/types.ts';
import { createHealth } from './health.ts';
import { createMaintenance } from './maintenance.ts';
import type { CallMemory } from './memory.ts';
import { addReflection } from './reflection.ts';
import type { MessageRules } from './request-body.ts';
import { createRoutes } from './routes.ts';
import type { SaveStreamLimits } from './save-stream.ts';

/** The largest message of every rpc but Save; a Delete of 1,000 filenames fits in. */
export const MAX_MESSAGE_BYTES: number = 512 * 1024;
/** Room for the field tags and lengths of a message, and for the fields of a header that are not metadata. */
const FRAMING_BYTES = 64 * 1024;

/** Number and wire type of the field that brings the bytes of an image. */
const CHUNK_TAG = SaveRequestSchema.field.chunk.number * 8 + 2;

export interface ServiceOptions {
  storage: Storage;
  memory: CallMemory;
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
  const { storage, memory, defaultProvider, save, reflection, leaving, shutdown } = options;
  const routes = createRoutes(storage, save, memory);
  const readMaxBytes = maxSaveMessageBytes(options);
  router.service(ImageStorage, routes).rpc(ImageStorage.method.save, routes.save, { readMaxBytes });
  router.service(Maintenance, createMaintenance(storage));
  router.service(Health, createHealth(storage, defaultProvider, { leaving, shutdown }));
  if (reflection) addReflection(router, [ImageStorage, Maintenance, Health], shutdown);
}

/** What is asked of the messages of a method before they are decoded. */
export function messageRules(method: DescMethod, options: ServiceOptions): MessageRules {
  const { input } = method;
  if (method !== ImageStorage.method.save) return { input, maxBytes: MAX_MESSAGE_BYTES };
  const chunk = { tag: CHUNK_TAG, maxBytes: options.save.maxChunkBytes };
  const maxFirstBytes = options.maxMetadataBytes + FRAMING_BYTES;
  return { input, maxBytes: maxSaveMessageBytes(options), maxFirstBytes, chunk, refusal: 'TOO_MANY_SAVES' };
}

function maxSaveMessageBytes({ save, maxMetadataBytes }: ServiceOptions): number {
  return Math.max(save.maxChunkBytes, maxMetadataBytes) + FRAMING_BYTES;
}
