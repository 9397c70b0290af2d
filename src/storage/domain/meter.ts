/** What a store tells whoever counts its work. */

/**
 * The parts of a save: waiting for its turn, receiving the bytes, making them durable, committing the image. Early syncs
 * are within `receive`.
 */
export const SAVE_STAGES = ['wait', 'receive', 'sync', 'commit'] as const;
export type SaveStage = (typeof SAVE_STAGES)[number];

/** How a run of a policy ended; `planned` deletes nothing. */
export const RUN_OUTCOMES = ['planned', 'done', 'failed'] as const;
export type RunOutcome = (typeof RUN_OUTCOMES)[number];

/** Saves of this moment. */
export interface SaveLoad {
  inFlight: number;
  waiting: number;
}

/** One request to a bucket's service. */
export interface BackendCall {
  operation: 'put' | 'get' | 'list' | 'delete';
  outcome: string;
  ms: number;
}

/** How a run of work behind the calls ended; `left`: another daemon does it for all. */
export const CHORE_OUTCOMES = ['done', 'left', 'failed'] as const;
export type ChoreOutcome = (typeof CHORE_OUTCOMES)[number];

/** Connections to the server of an index, of those that are for one purpose. */
export interface Connections {
  busy: number;
  idle: number;
  /** Transactions that wait for a connection. */
  waiting: number;
}

/** An index that a server has, at this moment. */
export interface IndexLoad {
  read: Connections;
  write: Connections;
  /** Operations that are settled in the bucket, and whose rows are not written yet. */
  rowsWaiting: number;
}

/** One transaction with the server of an index. */
export interface IndexCall {
  kind: 'read' | 'write';
  outcome: 'ok' | 'failed';
  ms: number;
}

/** How requests for previews ended; `none`: nothing could be made, or its client had left. */
export const PREVIEW_OUTCOMES = ['cached', 'made', 'none'] as const;
export type PreviewOutcome = (typeof PREVIEW_OUTCOMES)[number];

/** Previews of this moment. */
export interface PreviewLoad {
  /** Images that are to be decoded. */
  waiting: number;
  keptFiles: number;
  keptBytes: number;
}

/** Of the previews of all providers. Every call is cheap and never throws. */
export interface PreviewMeter {
  served(outcome: PreviewOutcome): void;
  /** An image was decoded. */
  decoded(ms: number): void;
  /** An image could not be decoded. */
  failed(): void;
  /** The process that decodes was started. */
  decoderStarted(): void;
  watch(load: () => PreviewLoad): void;
}

/** Of one provider. Every call is cheap and never throws. */
export interface Meter {
  /** Bytes of images that came, whether they were saved in the end or not. */
  received(bytes: number): void;
  /** Bytes of images that went to readers. */
  sent(bytes: number): void;
  /** A stage of a save is over. */
  stage(stage: SaveStage, ms: number): void;
  /** So many changes were committed together. */
  committed(changes: number): void;
  backendCalled(call: BackendCall): void;
  indexCalled(call: IndexCall): void;
  policyRan(policy: string, outcome: RunOutcome, deletedImages: number): void;
  /** Work behind the calls has ended, once; `chore` is one of a few names in the code. */
  choreRan(chore: string, outcome: ChoreOutcome, ms: number): void;
  /** It dealt with so many things: `what` is one of a few names in the code, such as `listed`, `read`, `written`. */
  choreDid(chore: string, what: string, count: number): void;
  /** Called when the provider opens. */
  watch(load: () => SaveLoad): void;
  /** The same, with the size of the log of a catalog in a file. */
  watchLog(sizeBytes: () => Promise<number>): void;
  /** The same, with the connections of an index that a server has. */
  watchIndex(load: () => IndexLoad): void;
}
