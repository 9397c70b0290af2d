/** How counters and histograms add up, and what a provider that does not answer is shown as. */
import { describe, expect, it } from 'vitest';
import { metered } from '../../src/storage/bucket/metered-store.ts';
import { ObjectStoreError } from '../../src/storage/bucket/object-store.ts';
import { Counters, Histograms } from '../../src/telemetry/families.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { parseExposition, sampleOf } from '../support/exposition.ts';

const stores = (statistics: () => Promise<never>) => ({
  health: () => ({ local: { serving: true } as const, away: { serving: false, why: 'gone' } as const }),
  getStatistics: statistics,
});

describe('a family', () => {
  it('counts each set of labels on its own', () => {
    const family = new Counters('a_total', 'A.', ['x', 'y']);
    family.of('1', '2').value += 3;
    family.of('1', '3').value += 1;
    family.of('1', '2').value += 1;
    expect(family.samples()).toEqual([
      { labels: { x: '1', y: '2' }, value: 4 },
      { labels: { x: '1', y: '3' }, value: 1 },
    ]);
  });

  it('puts a value into the bucket of the lowest bound that it does not exceed', () => {
    const family = new Histograms('a', 'A.', [], [1, 2]);
    for (const value of [0.5, 1, 1.5, 9]) family.of().observe(value);
    expect(family.samples().map(({ labels, value }) => [labels.le, value])).toEqual([
      ['1', 2],
      ['2', 3],
      ['+Inf', 4],
      [undefined, 12],
      [undefined, 4],
    ]);
  });
});

describe('a scrape', () => {
  it('goes on without a provider that does not answer', async () => {
    const scrape = createMetrics().createScrape(stores(() => Promise.reject(new Error('down'))));
    const families = parseExposition((await scrape()).text);
    expect(sampleOf(families, 'image_storage_provider_up', { provider: 'local' })).toBe(1);
    expect(sampleOf(families, 'image_storage_provider_up', { provider: 'away' })).toBe(0);
    expect(families.get('image_storage_images')!.samples).toEqual([]);
  });

  it('asks the stores once for several that come together', async () => {
    let asked = 0;
    const statistics = () => {
      asked += 1;
      return Promise.reject(new Error('down'));
    };
    const scrape = createMetrics().createScrape(stores(statistics));
    await Promise.all([scrape(), scrape('application/openmetrics-text')]);
    await scrape();
    expect(asked).toBe(2);
  });

  it('has the requests to a bucket, by what became of them', async () => {
    const metrics = createMetrics();
    const fails = () => Promise.reject(new ObjectStoreError('not_found', 'no such object'));
    const none = async () => undefined;
    const store = { location: 'here', putNew: fails, replaceIf: fails, get: fails, list: fails, remove: none };
    const objects = metered(store, metrics.meterOfProvider('cloud'));
    await objects.remove('a');
    await expect(objects.get('a')).rejects.toThrow('no such object');
    const families = parseExposition((await metrics.createScrape(stores(() => Promise.reject())).call(undefined)).text);
    const name = 'image_storage_backend_operation_seconds_count';
    expect(sampleOf(families, name, { operation: 'delete', outcome: 'ok' })).toBe(1);
    expect(sampleOf(families, name, { provider: 'cloud', operation: 'get', outcome: 'not_found' })).toBe(1);
  });

  it('has the previews', async () => {
    const { previews, createScrape } = createMetrics();
    previews.served('cached');
    previews.decoded(120);
    previews.failed();
    previews.decoderStarted();
    previews.watch(() => ({ waiting: 3, keptFiles: 2, keptBytes: 1000 }));
    const families = parseExposition((await createScrape(stores(() => Promise.reject()))()).text);
    expect(sampleOf(families, 'image_storage_previews_total', { outcome: 'cached' })).toBe(1);
    expect(sampleOf(families, 'image_storage_previews_total', { outcome: 'none' })).toBe(0);
    expect(sampleOf(families, 'image_storage_preview_decode_seconds_bucket', { le: '0.25' })).toBe(1);
    expect(sampleOf(families, 'image_storage_preview_failures_total', {})).toBe(1);
    expect(sampleOf(families, 'image_storage_preview_decoder_starts_total', {})).toBe(1);
    expect(sampleOf(families, 'image_storage_preview_queue', {})).toBe(3);
    expect(sampleOf(families, 'image_storage_preview_cache_files', {})).toBe(2);
    expect(sampleOf(families, 'image_storage_preview_cache_bytes', {})).toBe(1000);
  });

  it('has the runs of policies', async () => {
    const metrics = createMetrics();
    const meter = metrics.meterOfProvider('local');
    meter.policyRan('drafts', 'planned', 0);
    meter.policyRan('drafts', 'done', 7);
    const families = parseExposition((await metrics.createScrape(stores(() => Promise.reject()))()).text);
    expect(sampleOf(families, 'image_storage_policy_runs_total', { policy: 'drafts', outcome: 'done' })).toBe(1);
    expect(sampleOf(families, 'image_storage_policy_runs_total', { policy: 'drafts', outcome: 'failed' })).toBe(0);
    expect(sampleOf(families, 'image_storage_policy_deleted_images_total', { policy: 'drafts' })).toBe(7);
  });

  it('has the index of a bucket: connections, transactions, rows that wait', async () => {
    const metrics = createMetrics();
    const meter = metrics.meterOfProvider('cloud');
    const pools = { read: { busy: 5, idle: 0, waiting: 2 }, write: { busy: 1, idle: 2, waiting: 0 } };
    meter.watchIndex(() => ({ ...pools, rowsWaiting: 7 }));
    meter.indexCalled({ kind: 'write', outcome: 'failed', ms: 700 });
    const families = parseExposition((await metrics.createScrape(stores(() => Promise.reject()))()).text);
    const connections = (kind: string, state: string) =>
      sampleOf(families, 'image_storage_index_connections', { provider: 'cloud', kind, state });
    expect([connections('read', 'busy'), connections('write', 'busy'), connections('write', 'idle')]).toEqual([
      5, 1, 2,
    ]);
    expect(sampleOf(families, 'image_storage_index_transactions_waiting', { kind: 'read' })).toBe(2);
    expect(sampleOf(families, 'image_storage_index_rows_waiting', { provider: 'cloud' })).toBe(7);
    const failed = { kind: 'write', outcome: 'failed', le: '1' };
    expect(sampleOf(families, 'image_storage_index_transaction_seconds_bucket', failed)).toBe(1);
  });

  it('has the work behind the calls, and when it was done last', async () => {
    const metrics = createMetrics();
    const meter = metrics.meterOfProvider('cloud');
    const began = Date.now() / 1000;
    meter.choreRan('sync', 'left', 1);
    meter.choreRan('sync', 'done', 2_500);
    meter.choreRan('sweep', 'failed', 10);
    meter.choreDid('sync', 'read', 12);
    const families = parseExposition((await metrics.createScrape(stores(() => Promise.reject()))()).text);
    const runs = (chore: string, outcome: string) =>
      sampleOf(families, 'image_storage_chore_runs_total', { provider: 'cloud', chore, outcome });
    expect([runs('sync', 'left'), runs('sync', 'done'), runs('sync', 'failed')]).toEqual([1, 1, 0]);
    expect(sampleOf(families, 'image_storage_chore_seconds_total', { chore: 'sync' })).toBe(2.501);
    expect(sampleOf(families, 'image_storage_chore_items_total', { chore: 'sync', what: 'read' })).toBe(12);
    const done = families.get('image_storage_chore_done_timestamp_seconds')!.samples;
    expect(done.map(({ labels }) => labels.chore)).toEqual(['sync']);
    expect(done[0]!.value).toBeGreaterThanOrEqual(began);
  });
});
