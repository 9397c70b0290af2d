/**
 * Limits destructive tools to what was shown: the first call returns a plan, and only a second one with its token acts.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { ToolError } from './errors.ts';

const TOKEN_MINUTES = 10;

/** The images that would be deleted. */
export interface Plan {
  count: number;
  [part: string]: unknown;
}

/** What a call with a token has deleted. */
export interface Deleted {
  filenames: readonly string[];
  provider: string | undefined;
}

/**
 * Makes and checks tokens for plans, bound to this process, to everything in the plan, and to ten minutes. Stores
 * nothing.
 */
export interface Confirmations {
  tokenFor(subject: unknown[], plan: Plan): string;
  /** Throws a ToolError unless the token was made for exactly this plan and is still valid. */
  check(token: string, subject: unknown[], plan: Plan): void;
}

/** `now` returns ms since 1970. */
export function createConfirmations(now: () => number = Date.now): Confirmations {
  const key = randomBytes(32);
  const tokenOf = (expires: string, subject: unknown[], plan: Plan) => {
    const sealed = `${expires}\n${JSON.stringify([subject, plan])}`;
    return `${plan.count}.${expires}.${createHmac('sha256', key).update(sealed).digest('base64url')}`;
  };
  return {
    tokenFor: (subject, plan) => tokenOf(String(now() + TOKEN_MINUTES * 60_000), subject, plan),
    check(token, subject, plan) {
      const [, expires = ''] = token.split('.');
      if (!isSame(token, tokenOf(expires, subject, plan))) {
        throw refusal(
          'This confirm_token is not for what would be deleted now: the plan has changed, or it is of another call',
        );
      }
      if (now() >= Number(expires)) throw refusal(`This confirm_token has expired after ${TOKEN_MINUTES} minutes`);
    },
  };
}

/**
 * Returns how many images the token's plan has, so that the plan can be made again for no more. Does not check the
 * token; returns 0 for a malformed one.
 */
export function plannedCount(token: string): number {
  return Number(/^\d{1,9}(?=\.)/.exec(token)?.[0] ?? 0);
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function refusal(why: string): ToolError {
  return new ToolError(
    `${why}. Nothing was deleted. Call again without confirm_token to see the plan as it is now, and confirm that one.`,
  );
}

export const confirmToken = z.string().optional().describe('That of the plan, with the same arguments, carries it out');

interface Deletion {
  /** Names the tool and its target. */
  subject: unknown[];
  token: string | undefined;
  /** All that the token stands for; not shown. */
  plan: Plan;
  /** What is shown of the plan. */
  shown: object;
  /** Until when the images could be brought back; unset: they would go for good, which is another plan. */
  restorableUntil?: Date | undefined;
  act(): Promise<object>;
}

interface Answer {
  deleted: boolean;
  restorableUntil?: Date | undefined;
  confirmToken?: string;
  nextStep?: string;
}

/** Returns the plan and its token; acts instead when it is given that token. */
export async function planThenAct(
  confirmations: Confirmations,
  { subject: target, token, plan, shown, restorableUntil, act }: Deletion,
): Promise<Answer> {
  const subject = [...target, restorableUntil === undefined];
  if (token !== undefined) {
    confirmations.check(token, subject, plan);
    return { deleted: true, ...(await act()) };
  }
  const answer = { deleted: false, count: plan.count, ...shown };
  if (plan.count === 0) return { ...answer, nextStep: 'Nothing would be deleted.' };
  const nextStep =
    `Nothing was deleted yet. Show the user what would go, ${restorableUntil ? 'and until when it can be brought back' : 'for good'}; ` +
    `if they agree, call again with the same arguments and confirm_token within ${TOKEN_MINUTES} minutes.`;
  return { ...answer, restorableUntil, confirmToken: confirmations.tokenFor(subject, plan), nextStep };
}
