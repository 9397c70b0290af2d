/** Keeps destructive tools to what was shown: the first call answers with a plan, only a second one with its token acts. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { ToolError } from './errors.ts';

const TOKEN_MINUTES = 10;

/** What would go. */
export interface Plan {
  count: number;
}

/** Tokens for plans: bound to this process, to everything in the plan, and to ten minutes. Nothing is stored. */
export interface Confirmations {
  tokenFor(subject: unknown[], plan: Plan): string;
  /** Throws a ToolError unless the token was made for this very plan and is still valid. */
  check(token: string, subject: unknown[], plan: Plan): void;
}

/** `now` is in ms since 1970. */
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

/** How many images the token's plan has, so that it can be made again for no more. Not checked; 0 for what is no token. */
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

export const confirmToken = z
  .string()
  .optional()
  .describe('Leave it out to get the plan; give the one of the plan, with the same arguments, to carry it out');

/** What every destructive tool answers besides its plan. */
export const confirmationOutput = {
  deleted: z.boolean().describe('False: this is the plan, nothing was deleted'),
  confirm_token: z.string().optional().describe('Confirms this plan; missing where nothing would be deleted'),
  next_step: z.string().optional(),
};

interface Deletion {
  /** Names the tool and what it works on. */
  subject: unknown[];
  token: string | undefined;
  plan: Plan;
  /** What is said beside the plan, and may change without making it another. */
  remarks?: object;
  act(): Promise<object>;
}

/** Answers with the plan and its token; acts instead when it is given that token. */
export async function planThenAct(
  confirmations: Confirmations,
  { subject, token, plan, remarks, act }: Deletion,
): Promise<object> {
  if (token !== undefined) {
    confirmations.check(token, subject, plan);
    return { ...(await act()), deleted: true };
  }
  const answer = { ...plan, ...remarks, deleted: false };
  if (plan.count === 0) return { ...answer, nextStep: 'Nothing would be deleted.' };
  const nextStep =
    'Nothing was deleted yet. Show the user what would go; ' +
    `if they agree, call again with the same arguments and confirm_token within ${TOKEN_MINUTES} minutes.`;
  return { ...answer, confirmToken: confirmations.tokenFor(subject, plan), nextStep };
}
