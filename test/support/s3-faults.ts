/** What can go wrong with a request to S3: by name, for each operation, and drawn at random. */
import { errorAnswer, type Operation, type S3Answer, type S3Request } from './s3-protocol.ts';

/** What goes another way than it should. */
export interface Fault {
  /** The request's body arrives with a pause in its middle, or not beyond it. */
  receive?: 'slowly' | 'half';
  /** The request takes effect not at all, only once another has changed its object, or now and then again. */
  apply?: 'never' | 'late' | 'twice';
  /** What the client gets in place of the answer. */
  answer?: S3Answer | 'reset' | 'half-close' | 'silence';
  /** The answer's body is sent with a pause in its middle, or only to there, with and without the end of the connection. */
  send?: 'slowly' | 'half' | 'half, then silence';
}

type Faults = Record<string, Fault>;

const INTERNAL_ERROR = errorAnswer(500, 'InternalError');

const ANY = {
  '500': { apply: 'never', answer: INTERNAL_ERROR },
  '503': { apply: 'never', answer: errorAnswer(503, 'SlowDown') },
  '200 with an error': { apply: 'never', answer: { ...INTERNAL_ERROR, status: 200 } },
  reset: { apply: 'never', answer: 'reset' },
  'half-close': { apply: 'never', answer: 'half-close' },
} satisfies Faults;

const WRITE = {
  ...ANY,
  '500 after the write': { answer: INTERNAL_ERROR },
  'reset after the write': { answer: 'reset' },
  'half-close after the write': { answer: 'half-close' },
} satisfies Faults;

const READ = {
  ...ANY,
  'slow answer': { send: 'slowly' },
  'cut answer': { send: 'half' },
} satisfies Faults;

const PUT = {
  ...WRITE,
  '409': { apply: 'never', answer: errorAnswer(409, 'ConditionalRequestConflict') },
  '412 after the write': { answer: errorAnswer(412, 'PreconditionFailed') },
  'slow request': { receive: 'slowly' },
  'cut request': { receive: 'half', apply: 'never', answer: errorAnswer(400, 'IncompleteBody') },
  'reset request': { receive: 'half', apply: 'never', answer: 'reset' },
  'late write': { apply: 'late', answer: 'reset' },
  'duplicate write': { apply: 'twice' },
} satisfies Faults;

/** These last until somebody ends the connection. */
const STALL = {
  'stalled request': { receive: 'half', apply: 'never', answer: 'silence' },
  stall: { apply: 'never', answer: 'silence' },
  'stall after the write': { answer: 'silence' },
  'stalled answer': { send: 'half, then silence' },
} satisfies Faults;

const ALL = { ...READ, ...PUT, ...STALL };
export type FaultName = keyof typeof ALL;
export const FAULTS: Readonly<Record<FaultName, Fault>> = ALL;

const namesOf = (faults: Faults) => Object.keys(faults) as FaultName[];

/** What can happen to each operation, besides stalls. */
export const FAULTS_OF: Readonly<Record<Operation, readonly FaultName[]>> = {
  PUT: namesOf(PUT),
  DELETE: namesOf(WRITE),
  GET: namesOf(READ),
  LIST: namesOf(READ),
};

/** Says what goes wrong with a request, if anything. */
export type FaultPlan = (request: S3Request) => FaultName | undefined;

export interface FaultRates {
  /** How many of the keys are cursed: with them the same thing goes wrong again and again, until calls give up. */
  cursed: number;
  /** How many of the requests for others go wrong. */
  rate: number;
}

/** Of an operation, each fault is drawn once before any is drawn again. */
export function randomFaults(random: () => number, { cursed, rate }: FaultRates): FaultPlan {
  const decks: Record<Operation, FaultName[]> = { PUT: [], GET: [], DELETE: [], LIST: [] };
  const draw = (operation: Operation) => {
    const deck = decks[operation];
    if (deck.length === 0) deck.push(...FAULTS_OF[operation]);
    return deck.splice(Math.floor(random() * deck.length), 1)[0];
  };
  const curses = new Map<string, FaultName | undefined>();
  const curseOf = (key: string, operation: Operation) => {
    if (!curses.has(key)) curses.set(key, random() < cursed ? draw(operation) : undefined);
    return curses.get(key);
  };
  return ({ operation, key }) => curseOf(key, operation) ?? (random() < rate ? draw(operation) : undefined);
}
