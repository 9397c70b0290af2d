/** grpc.health.v1: whether the daemon and each of its providers serve, asked once or watched. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Code, ConnectError, type ServiceImpl } from '@connectrpc/connect';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts';
import { ImageStorage } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import type { Storage } from '../storage/types.ts';

const POLL_MS = 1000;

export interface HealthSignals {
  /** Fires when the daemon is about to stop accepting: nothing serves from then on. */
  leaving: AbortSignal;
  /** Ends the watches. */
  shutdown: AbortSignal;
}

/** Whether the path is that of an rpc of the service. */
export function isHealthCall(path: string): boolean {
  return path.startsWith(`/${Health.typeName}/`);
}

/**
 * The empty name and `imagestorage.v1.ImageStorage` have the health of the default provider, and
 * `imagestorage.v1.ImageStorage/<provider>` has that of one provider. So a probe restarts or hides the daemon only for
 * its default provider: another one that is down fails only its own calls.
 *
 * Asks the storage at each call, and each second of a watch.
 */
export function createHealth(
  storage: Storage,
  defaultProvider: string,
  { leaving, shutdown }: HealthSignals,
): ServiceImpl<typeof Health> {
  const providers = new Map([
    ['', defaultProvider],
    [ImageStorage.typeName, defaultProvider],
    ...Object.keys(storage.health()).map((name) => [`${ImageStorage.typeName}/${name}`, name] as const),
  ]);
  const statusOf = (service: string): Status => {
    const provider = providers.get(service);
    if (provider === undefined) return Status.SERVICE_UNKNOWN;
    return !leaving.aborted && storage.health()[provider]!.serving ? Status.SERVING : Status.NOT_SERVING;
  };
  return {
    check({ service }) {
      const status = statusOf(service);
      if (status === Status.SERVICE_UNKNOWN) throw new ConnectError('unknown service', Code.NotFound);
      return { status };
    },

    list: () => ({
      statuses: Object.fromEntries([...providers.keys()].map((service) => [service, { status: statusOf(service) }])),
    }),

    async *watch({ service }, context) {
      const over = AbortSignal.any([context.signal, shutdown]);
      let last: Status | undefined;
      while (!context.signal.aborted) {
        const status = statusOf(service);
        if (status !== last) yield { status };
        if (over.aborted) return;
        last = status;
        await sleep(POLL_MS, undefined, { signal: over }).catch(() => undefined);
      }
    },
  };
}
