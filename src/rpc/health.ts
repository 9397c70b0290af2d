/** grpc.health.v1: whether the daemon serves, asked once or watched. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Code, ConnectError, type ServiceImpl } from '@connectrpc/connect';
import { type Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/health/v1/health_pb.ts';
import { ImageStorage } from '../../gen/imagestorage/v1/image_storage_pb.ts';

/** The empty name is the daemon as a whole. */
const SERVICES = ['', ImageStorage.typeName];
const POLL_MS = 1000;

/** `isServing` is asked at each call, and each second while somebody watches; `shutdown` ends the watches. */
export function createHealth(isServing: () => boolean, shutdown: AbortSignal): ServiceImpl<typeof Health> {
  const current = () => (isServing() ? Status.SERVING : Status.NOT_SERVING);
  return {
    check({ service }) {
      if (!SERVICES.includes(service)) throw new ConnectError('unknown service', Code.NotFound);
      return { status: current() };
    },

    list: () => ({ statuses: Object.fromEntries(SERVICES.map((service) => [service, { status: current() }])) }),

    async *watch({ service }, context) {
      const over = AbortSignal.any([context.signal, shutdown]);
      let last: Status | undefined;
      while (!context.signal.aborted) {
        const status = SERVICES.includes(service) ? current() : Status.SERVICE_UNKNOWN;
        if (status !== last) yield { status };
        if (over.aborted) return;
        last = status;
        await sleep(POLL_MS, undefined, { signal: over }).catch(() => undefined);
      }
    },
  };
}
