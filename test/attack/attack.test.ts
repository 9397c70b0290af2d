/**
 * One client cannot stop the others: while it tries, another one's Stats and Save are answered in time, and the daemon's
 * memory stays within its bound and comes back. `npm run test:attack` drives every row; `npm test` one, by the seed.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { imageFilename, imageKey, KEY_ROOT } from '../../src/storage/domain/naming.ts';
import { COMMAND } from '../support/command.ts';
import { hostileImages } from '../support/hostile-metadata.ts';
import { layOutImages } from '../support/many-images.ts';
import { full, seed } from '../support/scale.ts';
import { attackDaemon, ELSEWHERE, type Figures, OWN, referenceMemory, type Stimulus } from './rig.ts';

const STATS_P99_MS = 250;
const SAVE_MS = 2_000;
const PEAK_MB = 300;
const DECODER_PEAK_MB = 350;
const LATER_MB = 60;

interface Row extends Omit<Stimulus, 'localAddress' | 'settles'> {
  /** Driven from the unhurt client's own address, too. */
  own?: boolean;
  /** Where more is known to be needed (docs/robustness.md). */
  statsMs?: number;
  saveMs?: number;
  peakMb?: number;
  laterMb?: number;
  /** Some of its calls are in order. */
  isAccepted?: boolean;
  /** Previews are made in it. */
  isDecoded?: boolean;
  /** Of these, every test run drives one. */
  isQuick?: boolean;
}

const rows: Row[] = [
  { attack: 'nothing' },
  { attack: 'unknown fields in headers', isQuick: true },
  { attack: 'unknown fields in chunks' },
  { attack: 'spaces in parameters' },
  { attack: 'reflection' },
  { attack: 'deletes of unknown names' },
  { attack: 'resets', own: true },
  { attack: 'empty chunks' },
  { attack: 'one-byte chunks' },
  { attack: 'lists unread', images: 30, parametersBytes: 200_000 },
  { attack: 'gets unread' },
  { attack: 'dripping saves', own: true },
  { attack: 'hello', own: true },
  { attack: 'held saves', heapMb: 256 },
  { attack: 'watches', heapMb: 256 },
  { attack: 'gzip bomb' },
  { attack: 'worst images', isAccepted: true },
  { attack: 'misread fields' },
  { attack: 'small compressed chunks' },
  { attack: 'saves that crawl' },
  { attack: 'Stats at once', peakMb: 400 },
  { attack: 'descriptions unread', images: 2, parametersBytes: 1_000_000 },
  { attack: 'verifies at once', images: 30, parametersBytes: 900_000, statsMs: 500, peakMb: 900, laterMb: 150 },
  { attack: 'held connect calls', own: true },
  { attack: 'requests in URLs' },
  { attack: 'resets over connections', statsMs: 500, saveMs: 5_000 },
  { attack: 'streams left open over connections', statsMs: 500, saveMs: 5_000 },
  { attack: 'bytes one by one' },
  { attack: 'long queries', layOut: manyImages },
  { attack: 'queries of a letter', layOut: manyImages },
  { attack: 'hostile files', layOut: hostileOrphans },
  { attack: 'silent sockets' },
  { attack: 'requests byte by byte' },
  { attack: 'images unread', statsMs: 500, saveMs: 5_000 },
  { attack: 'archives unread' },
  { attack: 'headers without end' },
  { attack: 'pipelined requests', isQuick: true },
  { attack: 'pipelined lists', images: 30, parametersBytes: 100_000, statsMs: 500 },
  { attack: 'forms of fields' },
  { attack: 'a field without end' },
  { attack: 'a form without a part' },
  { attack: 'headers of a part' },
  { attack: 'boundaries that are almost' },
  { attack: 'files that drip', own: true },
  { attack: 'chunks of a byte' },
  { attack: 'half a hello', tls: true, statsMs: 500 },
  { attack: 'handshakes without an end', tls: true, statsMs: 500 },
  { attack: 'hello byte by byte', tls: true },
  { attack: 'silent behind TLS', tls: true },
  { attack: 'images unread behind TLS', tls: true, statsMs: 500, saveMs: 5_000 },
  { attack: 'gets unread behind TLS', tls: true },
  { attack: 'records of a byte', tls: true },
  { attack: 'resets over connections behind TLS', tls: true, statsMs: 500, saveMs: 5_000 },
  { attack: 'pixel bombs', isDecoded: true },
  { attack: 'previews dropped', isDecoded: true, statsMs: 500, saveMs: 5_000 },
];

function manyImages(basePath: string): void {
  layOutImages(basePath, 20_000);
}

/** Images without a record, which a repair reads. */
function hostileOrphans(basePath: string): void {
  for (const [at, { bytes }] of hostileImages().entries()) {
    const filename = imageFilename(Date.UTC(2026, 0, 1), 'flux', at.toString(36).padStart(6, '0'), extensionOf(bytes));
    const path = join(basePath, imageKey(filename).slice(KEY_ROOT.length));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
  }
}

function extensionOf(bytes: Buffer): string {
  if (bytes[0] === 0x89) return 'png';
  if (bytes[0] === 0xff) return 'jpg';
  return bytes.toString('latin1', 0, 4) === 'RIFF' ? 'webp' : 'avif';
}

const only = process.env.ATTACK_ONLY?.split(',');
const quick = rows.filter(({ isQuick }) => isQuick);
const driven = (full || only ? rows : [quick[seed % quick.length]!])
  .filter(({ attack }) => only?.includes(attack) ?? true)
  .flatMap(({ own, ...row }): (Stimulus & Row)[] => [
    ...(own && !full && !only ? [] : [{ ...row, localAddress: ELSEWHERE, settles: full }]),
    ...(own ? [{ ...row, localAddress: OWN, settles: full }] : []),
  ]);

/** MB of a daemon that nobody attacked. */
let reference = Number.NaN;
const measured: (Figures & Pick<Row, 'laterMb'>)[] = [];

afterAll(print, 60_000);

it.each(driven)('$attack, from $localAddress', async (row) => {
  const { isAccepted, isDecoded, statsMs = STATS_P99_MS, saveMs = SAVE_MS, peakMb = PEAK_MB, ...stimulus } = row;
  const figures = await attackDaemon(COMMAND, stimulus);
  measured.push({ ...figures, laterMb: row.laterMb });
  expect(figures.died, figures.log.join('\n')).toBeUndefined();
  expect(figures.statsFailed).toBe(0);
  if (isAccepted) expect(figures.answers['0']).toBeGreaterThan(0);
  expect(figures.statsP99).toBeLessThan(statsMs);
  expect(figures.save).toBeTypeOf('number');
  expect(figures.save).toBeLessThan(saveMs);
  expect(figures.peak).toBeLessThan(peakMb);
  if (isDecoded) expect(figures.decoderPeak).toBeGreaterThan(0);
  expect(figures.decoderPeak).toBeLessThan(DECODER_PEAK_MB);
});

if (full) {
  it('gives its memory back', async () => {
    reference = await referenceMemory(COMMAND);
    for (const { name, later, laterMb = LATER_MB } of measured) {
      expect(await later, name).toBeLessThan(reference + laterMb);
    }
  });
}

async function print(): Promise<void> {
  const lines = [];
  for (const { name, statsP99, statsMax, save, peak, decoderPeak, later, answers, died } of measured) {
    const cells = [
      statsP99,
      statsMax,
      save,
      peak,
      decoderPeak,
      later === undefined ? '' : (await later) - reference,
      JSON.stringify(answers),
      died ?? '',
    ];
    const text = cells.map((cell) => (typeof cell === 'number' ? Math.round(cell) : cell));
    lines.push(`| ${name} | ${text.join(' | ')} |`);
  }
  console.info(
    [
      full ? `unattacked: ${Math.round(reference)} MB` : '',
      '| stimulus | Stats p99 ms | max ms | Save ms | peak MB | peak MB of the decoder | 10 s later, MB above one that nobody attacked | answers | died |',
      '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
      ...lines,
    ].join('\n'),
  );
}
