/** Tells probes over plain HTTP that the process lives (`/healthz`), and whether it takes calls (`/readyz`). */
import type { Storage } from '../storage/types.ts';
import { sendJson } from './errors.ts';
import type { Handler, Route } from './router.ts';

export interface HealthOptions {
  storage: Pick<Storage, 'health'>;
  /** The provider without which the daemon is not ready; another one that is down fails only its own calls. */
  defaultProvider: string;
  /** Fires when the daemon is about to stop accepting. */
  leaving: AbortSignal;
}

const PATHS = ['/healthz', '/readyz'];

export function isHealthPath(path: string): boolean {
  return PATHS.includes(path);
}

/** Anybody may ask, under any name: the answers have no names of images, models or places. */
export function healthRoute(options: HealthOptions): Route {
  return ({ path, method }) => {
    if (!isHealthPath(path) || (method !== 'GET' && method !== 'HEAD')) return undefined;
    return path === '/healthz' ? answerAlive : (_request, response) => answerReady(response, options);
  };
}

const answerAlive: Handler = (_request, response) => sendJson(response, 200, JSON.stringify({ status: 'SERVING' }));

function answerReady(response: Parameters<Handler>[1], options: HealthOptions): void {
  const { storage, defaultProvider, leaving } = options;
  const health = storage.health();
  const isReady = !leaving.aborted && health[defaultProvider]!.serving;
  const statusOf = (isServing: boolean) => (isServing ? 'SERVING' : 'NOT_SERVING');
  const providers = Object.entries(health).map(([name, { serving }]) => [name, statusOf(serving)]);
  const answer = { status: statusOf(isReady), providers: Object.fromEntries(providers) };
  sendJson(response, isReady ? 200 : 503, JSON.stringify(answer));
}
