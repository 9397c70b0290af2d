/** What cases.json consists of, and how one of its cases is played. */
import { status } from '@grpc/grpc-js';
import { expect } from 'vitest';
import { type Cut, startCuttingProxy } from '../support/cutting-proxy.ts';
import type { RunnerProcess } from './runner.ts';

/** Who plays a case: our own clients, plain clients, or plain clients that know only the first verbs. */
export type Kind = 'layers' | 'plain' | 'smoke';

export interface Case {
  name: string;
  runs: Kind[];
  /** The steps once for each of these, as `$each`. */
  each?: unknown;
  steps: Step[];
}

/**
 * A command for the runner, but for `through` (a proxy that does this to the first connection), `as` (the name of the
 * answer in later steps) and `expect` (what the answer has at least; an `error` by the name of its code). `$a.b` stands
 * for a value.
 */
interface Step extends Record<string, unknown> {
  do: string;
  address?: string;
  through?: Cut;
  as?: string;
  expect: Record<string, unknown>;
}

export type Values = Record<string, unknown>;

/** Rejects when an answer is not as expected. `values` has `tcp`, the daemon's address, and what the case names. */
export async function play({ each, steps }: Case, runner: RunnerProcess, values: Values): Promise<void> {
  const rounds = each === undefined ? [undefined] : (resolved(each, values) as unknown[]);
  for (const round of rounds) {
    const known: Values = { ...values, each: round };
    for (const step of steps) {
      const answer = await perform(step, runner, known);
      if (step.as) known[step.as] = answer;
    }
  }
}

async function perform(step: Step, runner: RunnerProcess, known: Values): Promise<Values> {
  const { through, as: _, expect: expected, ...command } = step;
  const request = resolved({ address: '$tcp', ...command }, known) as Values;
  await using proxy = through && (await startCuttingProxy(known.tcp as string, [through]));
  const answer = named(await runner.ask(proxy ? { ...request, address: proxy.address } : request));
  proxy?.release();
  if (!('error' in expected)) expect(answer.error).toBeUndefined();
  if (through && !isStalling(through)) expect(proxy?.connections(), 'connections: none broke').toBeGreaterThan(1);
  expect(answer).toMatchObject(resolved(expected, known) as object);
  return answer;
}

function isStalling({ atAnswer, stallAfterUpload }: Cut): boolean {
  return atAnswer === 'stall' || stallAfterUpload !== undefined;
}

/** With the status as people call it. */
function named(answer: Values): Values {
  const error = answer.error as { code: number } | undefined;
  return error ? { ...answer, error: { ...error, code: status[error.code] } } : answer;
}

/** Everything with `$a.b` replaced by `known.a.b`, in the names of fields, too. */
function resolved(value: unknown, known: Values): unknown {
  if (typeof value === 'string') return value.startsWith('$') ? lookup(value.slice(1), known) : value;
  if (Array.isArray(value)) return value.map((item) => resolved(item, known));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [resolved(name, known), resolved(item, known)]),
  );
}

function lookup(path: string, known: Values): unknown {
  const value = path.split('.').reduce<unknown>((inner, name) => (inner as Values | undefined)?.[name], known);
  if (value === undefined) throw new Error(`cases.json: nothing is called $${path} here`);
  return value;
}
