/** Keeps destructive tools to what was shown: the first call answers with a plan, only a second one with its token acts. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { ToolError } from './errors.ts';

const TOKEN_MINUTES = 10;

/** Tokens for plans: bound to this process, to everything in the plan, and to ten minutes. Nothing is stored. */
export interface Confirmations {
  tokenFor(plan: unknown): string;
  /** Throws a ToolError unless the token was made for this very plan and is still valid. */
  check(token: string, plan: unknown): void;
}

/** `now` is in ms since 1970. */
export function createConfirmations(now: () => number = Date.now): Confirmations {
  const key = randomBytes(32);
  const sealOf = (expires: string, plan: unknown) =>
    createHmac('sha256', key)
      .update(`${expires}\n${JSON.stringify(plan)}`)
      .digest();
  return {
    tokenFor(plan) {
      const expires = String(now() + TOKEN_MINUTES * 60_000);
      return `${expires}.${sealOf(expires, plan).toString('base64url')}`;
    },
    check(token, plan) {
      const [expires = '', seal = ''] = token.split('.');
      if (!sameBytes(Buffer.from(seal, 'base64url'), sealOf(expires, plan))) {
        throw refusal(
          'This confirm_token is not for what would be deleted now: the plan has changed, or it is of another call',
        );
      }
      if (now() >= Number(expires)) throw refusal(`This confirm_token has expired after ${TOKEN_MINUTES} minutes`);
    },
  };
}

function sameBytes(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
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

interface Deletion<Plan> {
  /** Names the tool and what it works on. */
  subject: unknown[];
  token: string | undefined;
  plan: Plan;
  act(): Promise<Plan>;
}

/** Answers with the plan and its token; acts instead when it is given that token. */
export async function planThenAct<Plan extends { count: number }>(
  confirmations: Confirmations,
  { subject, token, plan, act }: Deletion<Plan>,
): Promise<object> {
  if (token !== undefined) {
    confirmations.check(token, [subject, plan]);
    return { ...(await act()), deleted: true };
  }
  if (plan.count === 0) return { ...plan, deleted: false, nextStep: 'Nothing would be deleted.' };
  const nextStep =
    'Nothing was deleted yet. Show the user what would go; ' +
    `if they agree, call again with the same arguments and confirm_token within ${TOKEN_MINUTES} minutes.`;
  return { ...plan, deleted: false, confirmToken: confirmations.tokenFor([subject, plan]), nextStep };
}
