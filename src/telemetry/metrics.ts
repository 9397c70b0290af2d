/** The metrics of one daemon: what its calls and stores are counted by, and what a scrape gets. */
import type { CallMeter } from '../rpc/call.ts';
import type { MethodLabels } from '../rpc/observer.ts';
import type { Meter, PreviewMeter } from '../storage/domain/meter.ts';
import type { Storage } from '../storage/types.ts';
import { CallFamilies } from './call-families.ts';
import { type Exposition, expose } from './exposition.ts';
import { PreviewFamilies } from './preview-families.ts';
import { StoreFamilies } from './store-families.ts';
import { createSums } from './store-sums.ts';

export interface Metrics {
  meterOfMethod(method: MethodLabels): CallMeter;
  /** Returns what counts a request that was answered with this status. */
  meterOfRoute(route: string): (status: number, ms: number) => void;
  meterOfProvider(provider: string): Meter;
  readonly previews: PreviewMeter;
  /** Returns what answers a scrape; `accept` is its header. */
  createScrape(storage: Pick<Storage, 'health' | 'getStatistics'>): (accept?: string) => Promise<Exposition>;
}

export function createMetrics(): Metrics {
  const calls = new CallFamilies();
  const stores = new StoreFamilies();
  const previews = new PreviewFamilies();
  return {
    meterOfMethod: (method) => calls.ofMethod(method),
    meterOfRoute: (route) => calls.ofRoute(route),
    meterOfProvider: (provider) => stores.meterOf(provider),
    previews: previews.meter,
    createScrape(storage) {
      const sums = createSums(storage);
      return async (accept) => {
        const [log, held] = await Promise.all([stores.logs(), sums()]);
        return expose([...calls.all, ...stores.all, ...previews.all, log, ...held], accept);
      };
    },
  };
}
