/** Counts what the stores tell of their work, by provider. */
import {
  type BackendCall,
  CHORE_OUTCOMES,
  type IndexCall,
  type IndexLoad,
  type Meter,
  RUN_OUTCOMES,
  SAVE_STAGES,
  type SaveLoad,
} from '../storage/domain/meter.ts';
import { answerOf } from './answer-of.ts';
import { Counters, type Family, gauges, Histograms, type Sample } from './families.ts';

const STAGE_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const BACKEND_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const GROUP_SIZES = [1, 2, 4, 8, 16, 32, 64];

export class StoreFamilies {
  readonly #received = new Counters('image_storage_received_bytes_total', 'Bytes of images that came with saves.', [
    'provider',
  ]);
  readonly #sent = new Counters('image_storage_sent_bytes_total', 'Bytes of images that went to readers.', [
    'provider',
  ]);
  readonly #stages = new Histograms(
    'image_storage_save_stage_seconds',
    'How long the stages of saves took: wait for a turn, receive the bytes, sync them to the disk or bucket, commit.',
    ['provider', 'stage'],
    STAGE_SECONDS,
  );
  readonly #groups = new Histograms(
    'image_storage_commit_group_size',
    'Changes that were committed together.',
    ['provider'],
    GROUP_SIZES,
  );
  readonly #backend = new Histograms(
    'image_storage_backend_operation_seconds',
    'How long requests to the service of a bucket took, each attempt on its own, by their outcome.',
    ['provider', 'operation', 'outcome'],
    BACKEND_SECONDS,
  );
  readonly #runs = new Counters('image_storage_policy_runs_total', 'Runs of retention policies.', [
    'provider',
    'policy',
    'outcome',
  ]);
  readonly #deleted = new Counters(
    'image_storage_policy_deleted_images_total',
    'Images that retention policies deleted.',
    ['provider', 'policy'],
  );
  readonly #index = new Histograms(
    'image_storage_index_transaction_seconds',
    'How long transactions with the Postgres of an index took, the wait for a connection included, by their outcome.',
    ['provider', 'kind', 'outcome'],
    BACKEND_SECONDS,
  );
  readonly #chores = new Counters('image_storage_chore_runs_total', 'Runs of work behind the calls of a bucket.', [
    'provider',
    'chore',
    'outcome',
  ]);
  readonly #choreSeconds = new Counters(
    'image_storage_chore_seconds_total',
    'How long work behind the calls of a bucket took.',
    ['provider', 'chore'],
  );
  readonly #choresDone = new Map<string, Sample>();
  readonly #choreItems = new Counters(
    'image_storage_chore_items_total',
    'What work behind the calls of a bucket dealt with: records that were listed, read, …',
    ['provider', 'chore', 'what'],
  );
  readonly #indexes = new Map<string, () => IndexLoad>();
  readonly #loads = new Map<string, () => SaveLoad>();
  readonly #logs = new Map<string, () => Promise<number>>();

  get all(): Family[] {
    const loads = [...this.#loads].map(([provider, load]) => ({ labels: { provider }, ...load() }));
    const inFlight = loads.map(({ labels, inFlight: value }) => ({ labels, value }));
    const waiting = loads.map(({ labels, waiting: value }) => ({ labels, value }));
    return [
      this.#received,
      this.#sent,
      gauges('image_storage_saves_in_flight', 'Saves that have their turn.', inFlight),
      gauges('image_storage_saves_waiting', 'Saves that wait for their turn.', waiting),
      this.#stages,
      this.#groups,
      this.#backend,
      this.#index,
      ...this.#connections(),
      this.#chores,
      this.#choreSeconds,
      this.#choreItems,
      gauges('image_storage_chore_done_timestamp_seconds', 'When it was last done by this daemon.', [
        ...this.#choresDone.values(),
      ]),
      this.#runs,
      this.#deleted,
    ];
  }

  #connections(): Family[] {
    const connections: Sample[] = [];
    const waiting: Sample[] = [];
    const rows: Sample[] = [];
    for (const [provider, load] of this.#indexes) {
      const { rowsWaiting, ...pools } = load();
      rows.push({ labels: { provider }, value: rowsWaiting });
      for (const [kind, { busy, idle, waiting: value }] of Object.entries(pools)) {
        connections.push({ labels: { provider, kind, state: 'busy' }, value: busy });
        connections.push({ labels: { provider, kind, state: 'idle' }, value: idle });
        waiting.push({ labels: { provider, kind }, value });
      }
    }
    return [
      gauges('image_storage_index_connections', 'Connections to the Postgres of an index.', connections),
      gauges('image_storage_index_transactions_waiting', 'Transactions that wait for a connection.', waiting),
      gauges(
        'image_storage_index_rows_waiting',
        'Operations that are done in the bucket, and whose rows the Postgres of the index does not have yet.',
        rows,
      ),
    ];
  }

  /** Leaves out what cannot be read now. */
  async logs(): Promise<Family> {
    const sizes = [...this.#logs].map(async ([provider, sizeBytes]): Promise<Sample[]> => {
      const value = await answerOf(sizeBytes());
      return value === undefined ? [] : [{ labels: { provider }, value }];
    });
    const help = 'Bytes of the write-ahead log of the catalog, which goes back into it now and then.';
    return gauges('image_storage_catalog_log_bytes', help, (await Promise.all(sizes)).flat());
  }

  meterOf(provider: string): Meter {
    const received = this.#received.of(provider);
    const sent = this.#sent.of(provider);
    const groups = this.#groups.of(provider);
    const stages = Object.fromEntries(SAVE_STAGES.map((stage) => [stage, this.#stages.of(provider, stage)]));
    return {
      received: (bytes) => {
        received.value += bytes;
      },
      sent: (bytes) => {
        sent.value += bytes;
      },
      stage: (stage, ms) => stages[stage]!.observe(ms / 1000),
      committed: (changes) => groups.observe(changes),
      backendCalled: ({ operation, outcome, ms }: BackendCall) =>
        this.#backend.of(provider, operation, outcome).observe(ms / 1000),
      indexCalled: ({ kind, outcome, ms }: IndexCall) => this.#index.of(provider, kind, outcome).observe(ms / 1000),
      policyRan: (policy, outcome, images) => {
        // All of them from the first on: rates need a first value.
        for (const each of RUN_OUTCOMES) this.#runs.of(provider, policy, each);
        this.#runs.of(provider, policy, outcome).value += 1;
        this.#deleted.of(provider, policy).value += images;
      },
      choreRan: (chore, outcome, ms) => {
        for (const each of CHORE_OUTCOMES) this.#chores.of(provider, chore, each);
        this.#chores.of(provider, chore, outcome).value += 1;
        this.#choreSeconds.of(provider, chore).value += ms / 1000;
        const done = { labels: { provider, chore }, value: Date.now() / 1000 };
        if (outcome === 'done') this.#choresDone.set(`${provider} ${chore}`, done);
      },
      choreDid: (chore, what, count) => {
        this.#choreItems.of(provider, chore, what).value += count;
      },
      watch: (load) => this.#loads.set(provider, load),
      watchLog: (sizeBytes) => this.#logs.set(provider, sizeBytes),
      watchIndex: (load) => this.#indexes.set(provider, load),
    };
  }
}
