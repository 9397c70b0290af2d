/**
 * Asks the daemons that share an index whether all that they have acknowledged is in it. Each answers by the number of the
 * last call, once no row of it waits: what it had acknowledged before the call is then in the index.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from './pool.ts';

/** How long a call waits for those that were seen lately, which look for one every second. */
const ANSWERED_WITHIN_MS = 5_000;
const LOOK_EVERY_MS = 50;
/** One that was not seen for so long does not answer. */
const VANISHED = "interval '20 seconds'";
const SEEN_EVERY = "interval '5 seconds'";
/** One that is gone for good has no rows that wait: a comparison has read the bucket since. */
export const FORGOTTEN = "interval '1 hour'";

interface Answers {
  missing: number;
  /** Of those that are missing. */
  vanished: number;
}

interface Own {
  call: number;
  answered: number | null;
  is_old: boolean | null;
}

export class RollCall {
  readonly #pool: Pool;
  readonly #daemon: string;

  /** `daemon`: its name, over restarts. */
  constructor(pool: Pool, daemon: string) {
    this.#pool = pool;
    this.#daemon = daemon;
  }

  /** Notes that this daemon is there, and answers the last call unless it owes rows, which is asked once that is known. */
  async answer(owes: () => boolean): Promise<void> {
    const sql = `
      SELECT coalesce((SELECT value::bigint FROM notes WHERE name = 'roll_call'), 0) AS call,
        (SELECT answered FROM daemons WHERE id = $1) AS answered,
        (SELECT seen < clock_timestamp() - ${SEEN_EVERY} FROM daemons WHERE id = $1) AS is_old`;
    const [own] = await this.#pool.readSoon((transaction) => transaction.rows<Own>(sql, [this.#daemon]));
    const { call, answered, is_old: isOld } = own!;
    const answers = owes() ? (answered ?? -1) : call;
    if (answers === answered && isOld === false) return;
    const noted = `
      INSERT INTO daemons VALUES ($1, clock_timestamp(), $2)
      ON CONFLICT (id) DO UPDATE SET seen = excluded.seen, answered = excluded.answered`;
    await this.#pool.write((transaction) => transaction.rows(noted, [this.#daemon, answers]));
  }

  /** Returns whether all others have answered a call that is made now. */
  async isAnswered(): Promise<boolean> {
    const call = await this.#call();
    for (const giveUpAt = performance.now() + ANSWERED_WITHIN_MS; ; await sleep(LOOK_EVERY_MS)) {
      const { missing, vanished } = await this.#answersTo(call);
      if (missing === 0) return true;
      if (vanished > 0 || performance.now() > giveUpAt) return false;
    }
  }

  async #call(): Promise<number> {
    const sql = `
      INSERT INTO notes AS note VALUES ('roll_call', '1')
      ON CONFLICT (name) DO UPDATE SET value = (note.value::bigint + 1)::text RETURNING value::bigint AS call`;
    const [made] = await this.#pool.write((transaction) => transaction.rows<{ call: number }>(sql));
    return made!.call;
  }

  async #answersTo(call: number): Promise<Answers> {
    const sql = `
      SELECT count(*) AS missing, count(*) FILTER (WHERE seen < clock_timestamp() - ${VANISHED}) AS vanished
      FROM daemons WHERE id <> $1 AND answered < $2`;
    const [answers] = await this.#pool.readSoon((transaction) => transaction.rows<Answers>(sql, [this.#daemon, call]));
    return answers!;
  }

  /** Nothing of this daemon is missing any more. */
  async leave(): Promise<void> {
    await this.#pool.write((transaction) => transaction.rows('DELETE FROM daemons WHERE id = $1', [this.#daemon]));
  }
}
