/** What a scrape of a daemon says after a small load, that both formats are sound, and what the dashboard asks for. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ImageStorage } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { newToken, tokenLine } from '../../src/auth/tokens.ts';
import { parseExposition, type ScrapedFamily, sampleOf } from '../support/exposition.ts';
import { all, header, outcomeOf, saveAt, storageAt, stream, upload } from '../support/grpc.ts';
import { pngOf } from '../support/images.ts';
import { requires } from '../support/requires.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';

const SECRETS = { prompt: 'canary-prompt', model: 'canary-model', category: 'canary-category', tags: ['canary-tag'] };
const OPEN_METRICS = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5';
const SIZE_BYTES = 600_000;
const SERVICE = 'imagestorage.v1.ImageStorage';
const bytes = pngOf({ width: 64, height: 64, sizeBytes: SIZE_BYTES });
const small = pngOf({ width: 8, height: 8, seed: 1 });

let daemon: RunningDaemon;
let text: string;
let scraped: Map<string, ScrapedFamily>;
let filename: string;

const scrape = (accept = '') => fetch(`http://${daemon.address}/metrics`, { headers: { accept } });
const callsOf = (name: string, more = {}) => ({ grpc_service: SERVICE, grpc_method: name, ...more });
const numberOf = (name: string, labels?: Record<string, string>) => sampleOf(scraped, name, labels);

beforeAll(async () => {
  daemon = await runDaemon({ IMAGE_STORAGE_PROVIDERS_LOCAL_TRASH_DAYS: '1' });
  const { address } = daemon;
  const image = await saveAt(address, bytes, { metadata: SECRETS });
  ({ filename } = image);
  const doomed = await saveAt(address, small, { metadata: SECRETS });
  const connect = createClient(
    ImageStorage,
    createConnectTransport({ baseUrl: `http://${address}`, httpVersion: '2' }),
  );
  await connect.save(upload(small, { metadata: SECRETS }));
  const storage = storageAt(address);
  await all(storage.get({ filename }));
  await all(connect.get({ filename }));
  await (await fetch(`http://${address}${image.url}`)).arrayBuffer();
  await fetch(`http://${address}${image.url}`, { headers: { range: 'bytes=900000-' } });
  await storage.delete({ filenames: [doomed.filename] });
  expect(await outcomeOf(storage.get({ filename: doomed.filename }))).toBe('NotFound IMAGE_NOT_FOUND filename');
  expect(await outcomeOf(storage.save(stream(header({ metadata: SECRETS }))))).toContain('IMAGE_EMPTY');
  const response = await scrape();
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  text = await response.text();
  scraped = parseExposition(text);
});
afterAll(() => daemon.close());

describe('calls are counted', () => {
  it('by method and code, of every way to serve them alike', () => {
    expect(numberOf('grpc_server_started_total', callsOf('Save'))).toBe(4);
    expect(numberOf('grpc_server_handled_total', callsOf('Save', { grpc_code: 'OK' }))).toBe(3);
    expect(numberOf('grpc_server_handled_total', callsOf('Save', { grpc_code: 'InvalidArgument' }))).toBe(1);
    expect(numberOf('grpc_server_handled_total', callsOf('Get', { grpc_code: 'OK' }))).toBe(2);
    expect(numberOf('grpc_server_handled_total', callsOf('Get', { grpc_code: 'NotFound' }))).toBe(1);
    expect(numberOf('grpc_server_handled_total', callsOf('Delete', { grpc_code: 'OK' }))).toBe(1);
    expect(numberOf('grpc_server_handling_seconds_count', callsOf('Save', { grpc_type: 'client_stream' }))).toBe(4);
  });

  it('with their messages', () => {
    const chunks = Math.ceil(SIZE_BYTES / (256 * 1024));
    expect(numberOf('grpc_server_msg_received_total', callsOf('Save'))).toBe(1 + chunks + 2 + 2 + 1);
    expect(numberOf('grpc_server_msg_sent_total', callsOf('Save'))).toBe(3);
    expect(numberOf('grpc_server_msg_received_total', callsOf('Get'))).toBe(3);
    expect(numberOf('grpc_server_msg_sent_total', callsOf('Get'))).toBe(2 * (1 + chunks));
  });

  it('before the first of them', () => {
    expect(numberOf('grpc_server_started_total', callsOf('Restore'))).toBe(0);
    expect(numberOf('grpc_server_handled_total', callsOf('Restore', { grpc_code: 'OK' }))).toBe(0);
  });

  it('of plain HTTP by their route', () => {
    expect(numberOf('image_storage_http_requests_total', { route: 'GET image', code: '200' })).toBe(1);
    expect(numberOf('image_storage_http_requests_total', { route: 'GET image', code: '416' })).toBe(1);
    expect(numberOf('image_storage_http_request_seconds_count', { route: 'GET image' })).toBe(2);
  });
});

describe('a store tells', () => {
  const provider = 'local';

  it('what it holds', () => {
    expect(numberOf('image_storage_images', { provider })).toBe(2);
    expect(numberOf('image_storage_bytes', { provider })).toBe(SIZE_BYTES + small.length);
    expect(numberOf('image_storage_trash_images', { provider })).toBe(1);
    expect(numberOf('image_storage_trash_bytes', { provider })).toBe(small.length);
    expect(numberOf('image_storage_provider_up', { provider })).toBe(1);
  });

  it('how much room it has', () => {
    expect(numberOf('image_storage_disk_free_bytes', { provider })).toBeGreaterThan(0);
    expect(numberOf('image_storage_disk_capacity_bytes', { provider })).toBeGreaterThan(0);
    expect(numberOf('image_storage_catalog_log_bytes', { provider })).toBeGreaterThan(0);
  });

  it('what passed', () => {
    expect(numberOf('image_storage_received_bytes_total', { provider })).toBe(SIZE_BYTES + 2 * small.length);
    expect(numberOf('image_storage_sent_bytes_total', { provider })).toBe(3 * SIZE_BYTES);
  });

  it('how long each stage of the saves took, and how they were committed', () => {
    for (const stage of ['receive', 'sync', 'commit']) {
      expect(numberOf('image_storage_save_stage_seconds_count', { provider, stage }), stage).toBe(3);
    }
    expect(numberOf('image_storage_save_stage_seconds_count', { provider, stage: 'wait' })).toBe(4);
    expect(numberOf('image_storage_commit_group_size_sum', { provider })).toBeGreaterThanOrEqual(4);
    expect(numberOf('image_storage_saves_in_flight', { provider })).toBe(0);
    expect(numberOf('image_storage_saves_waiting', { provider })).toBe(0);
  });
});

describe('a scrape', () => {
  it('has the process', () => {
    for (const name of ['process_resident_memory_bytes', 'process_open_fds', 'nodejs_eventloop_lag_seconds']) {
      expect(numberOf(name), name).toBeDefined();
    }
  });

  it('names nothing of what is stored, and nobody', () => {
    for (const canary of ['canary', filename, '127.0.0.1']) expect(text).not.toContain(canary);
  });

  it('is OpenMetrics for whoever accepts it, and Prometheus again behind it', async () => {
    const open = await scrape(OPEN_METRICS);
    expect(open.headers.get('content-type')).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
    const families = parseExposition(await open.text(), true);
    expect(families.get('grpc_server_started')?.type).toBe('counter');
    expect(sampleOf(families, 'grpc_server_started_total', callsOf('Save'))).toBe(4);
    expect([...parseExposition(await (await scrape()).text()).keys()]).toEqual([...scraped.keys()]);
  });

  it('answers HEAD without a body, and no other method', async () => {
    const head = await fetch(`http://${daemon.address}/metrics`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect((await fetch(`http://${daemon.address}/metrics`, { method: 'DELETE' })).status).toBe(405);
  });

  it('counts a call whose client did not wait for its end', async () => {
    const endless = (async function* () {
      yield header({ metadata: {} });
      await new Promise(() => {});
    })();
    expect(await outcomeOf(storageAt(daemon.address).save(endless, { timeoutMs: 100 }))).toBe('DeadlineExceeded');
    const running = async () => {
      const families = parseExposition(await (await scrape()).text());
      const ended = families.get('grpc_server_handled_total')!.samples;
      const ofSaves = ended.filter(({ labels }) => labels.grpc_service === SERVICE && labels.grpc_method === 'Save');
      const started = sampleOf(families, 'grpc_server_started_total', callsOf('Save'))!;
      return started - ofSaves.reduce((sum, { value }) => sum + value, 0);
    };
    await expect.poll(running).toBe(0);
  });
});

const dashboard = JSON.parse(readFileSync('examples/grafana/image-storage.json', 'utf8'));
const expressions: string[] = dashboard.panels.flatMap((panel: { targets?: { expr: string }[] }) =>
  (panel.targets ?? []).map(({ expr }) => expr),
);

describe('the dashboard', () => {
  // Those of buckets and policies, which this daemon has none of; their own tests have them.
  const ELSEWHERE = [
    'image_storage_backend_operation_seconds',
    'image_storage_policy_deleted_images_total',
    'image_storage_chore_done_timestamp_seconds',
    'image_storage_chore_items_total',
    'image_storage_chore_runs_total',
    'image_storage_chore_seconds_total',
    'image_storage_index_connections',
    'image_storage_index_rows_waiting',
    'image_storage_index_transaction_seconds',
    'image_storage_index_transactions_waiting',
  ];

  it('asks for something in every panel', () => {
    expect(expressions.length).toBeGreaterThanOrEqual(12);
  });

  it.each(expressions)('asks only for what there is: %s', (expression) => {
    const names = expression.match(/\b(grpc_server|image_storage|process|nodejs)_[a-z0-9_]+/g) ?? [];
    expect(names).not.toEqual([]);
    const series = new Set([...scraped.values()].flatMap(({ samples }) => samples.map(({ name }) => name)));
    const known = names.filter(
      (name) => series.has(name) || ELSEWHERE.includes(name.replace(/_(bucket|sum|count)$/, '')),
    );
    expect(known).toEqual(names);
  });
});

const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

requires('promtool, of the Debian package prometheus', hasPromtool)('promtool', () => {
  const check = (...args: string[]) => {
    const { status, stderr } = spawnSync('promtool', ['check', ...args], { input: text, encoding: 'utf8' });
    return [status, stderr];
  };

  it('takes a scrape, and finds nothing to say of its names', () => {
    expect(check('metrics')).toEqual([0, '']);
  });

  it('can read every query of the dashboard, and every alert that the docs name', () => {
    const page = readFileSync('docs/operating.md', 'utf8');
    const alerts = [.../Worth an alert: (.*)/.exec(page)![1]!.matchAll(/`([^`]*)`/g)].map(([, alert]) => alert!);
    expect(alerts.length).toBeGreaterThanOrEqual(4);
    const written = [...expressions, ...alerts].map((each) => each.replaceAll('$__rate_interval', '5m'));
    const rules = written.map((expr, index) => ({ record: `panel:${index}`, expr }));
    const folder = mkdtempSync(join(tmpdir(), 'image-storage-rules-'));
    const file = join(folder, 'rules.yml');
    // JSON is YAML, too.
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'all', rules }] }));
    expect(check('rules', file)).toEqual([0, '']);
    rmSync(folder, { recursive: true });
  });
});

it('a daemon with tokens asks for one on its own port, and none on opsListen', async () => {
  const token = newToken();
  await using locked = await runDaemon({
    IMAGE_STORAGE_AUTH_TOKENS: tokenLine('prometheus', token, ['read']),
    IMAGE_STORAGE_OPS_LISTEN: '127.0.0.1:0',
  });
  const url = `http://${locked.address}/metrics`;
  expect((await fetch(url)).status).toBe(401);
  expect((await fetch(url, { headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
  expect((await fetch(`http://${locked.opsAddresses[0]}/metrics`)).status).toBe(200);
});

it('a scrape of opsListen gets the same, and opsListen has no images', async () => {
  await using probed = await runDaemon({ IMAGE_STORAGE_OPS_LISTEN: '127.0.0.1:0' });
  const [ops] = probed.opsAddresses;
  const families = parseExposition(await (await fetch(`http://${ops}/metrics`)).text());
  expect(sampleOf(families, 'image_storage_images', { provider: 'local' })).toBe(0);
  const { url } = await saveAt(probed.address, small);
  expect((await fetch(`http://${ops}${url}`)).status).toBe(404);
});
