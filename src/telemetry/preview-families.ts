/** Counts previews: how requests for them ended, how long images take to decode, and what is kept. */
import { PREVIEW_OUTCOMES, type PreviewLoad, type PreviewMeter } from '../storage/domain/meter.ts';
import { Counters, type Family, gauges, Histograms } from './families.ts';

const DECODE_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export class PreviewFamilies {
  readonly #served = new Counters(
    'image_storage_previews_total',
    'Previews that were asked for: cached, made, or none, since the image cannot be decoded or its client had left.',
    ['outcome'],
  );
  readonly #decoded = new Histograms(
    'image_storage_preview_decode_seconds',
    'How long it took to read and decode an image and to make its previews.',
    [],
    DECODE_SECONDS,
  );
  readonly #failed = new Counters('image_storage_preview_failures_total', 'Images that could not be decoded.', []);
  readonly #starts = new Counters(
    'image_storage_preview_decoder_starts_total',
    'Starts of the process that decodes, which ends when it is idle or an image takes too much.',
    [],
  );
  #load: () => PreviewLoad = () => ({ waiting: 0, keptFiles: 0, keptBytes: 0 });

  constructor() {
    for (const outcome of PREVIEW_OUTCOMES) this.#served.of(outcome);
    for (const family of [this.#decoded, this.#failed, this.#starts]) family.of();
  }

  readonly meter: PreviewMeter = {
    served: (outcome) => {
      this.#served.of(outcome).value += 1;
    },
    decoded: (ms) => this.#decoded.of().observe(ms / 1000),
    failed: () => {
      this.#failed.of().value += 1;
    },
    decoderStarted: () => {
      this.#starts.of().value += 1;
    },
    watch: (load) => {
      this.#load = load;
    },
  };

  get all(): Family[] {
    const { waiting, keptFiles, keptBytes } = this.#load();
    const one = (value: number) => [{ labels: {}, value }];
    return [
      this.#served,
      this.#decoded,
      this.#failed,
      this.#starts,
      gauges('image_storage_preview_queue', 'Images that are to be decoded for a preview.', one(waiting)),
      gauges('image_storage_preview_cache_files', 'Previews that are kept.', one(keptFiles)),
      gauges('image_storage_preview_cache_bytes', 'Bytes of previews that are kept.', one(keptBytes)),
    ];
  }
}
