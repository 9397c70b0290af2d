/** A retention policy: which images it is about, and what it keeps of them. */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { PolicySettings } from './config.ts';
import { parseAge } from './dates.ts';
import { age, byteSize, count, dayCount, text } from './setting-kinds.ts';

export const POLICY_NAME: RegExp = /^[a-z][a-z0-9]*$/;
export const POLICY_NAMED = 'a policy is named by lower-case letters and digits, a letter first';
const DEFAULT_EVERY = '1h';
const DEFAULT_DELAY = '1d';
const KEEP_RULES = ['keepWithin', 'keepLast', 'keepDaily', 'keepBytes'] as const;
export const WITHOUT_RULE: string =
  'must be set, or keepLast, keepDaily or keepBytes: without any of them the policy keeps nothing';

/** A policy that was checked, with its ages in ms. */
export interface Policy extends Omit<PolicySettings, 'keepWithin' | 'every' | 'delay'> {
  name: string;
  keepWithinMs?: number;
  everyMs: number;
  delayMs: number;
}

/** A strict schema with kind, bounds, default and description of each setting. */
export const policySettings: z.ZodObject = z
  .strictObject({
    provider: text()
      .optional()
      .describe('Where its images are; * is each provider on its own. Default: the default provider.')
      .meta({ examples: ['local'] }),
    model: text()
      .optional()
      .describe('Only images of this model. Default: all.')
      .meta({ examples: ['flux-schnell'] }),
    category: text()
      .optional()
      .describe('Only images of this category. Default: all.')
      .meta({ examples: ['draft'] }),
    tag: text()
      .optional()
      .describe('Only images with this tag. Default: all.')
      .meta({ examples: ['preview'] }),
    keepWithin: age(60_000)
      .optional()
      .describe('Keep what is no older. Default: not kept by its age.')
      .meta({ examples: ['30d'] }),
    keepLast: count()
      .optional()
      .describe('Keep so many of the newest. Default: not kept by number.')
      .meta({ examples: [1000] }),
    keepDaily: dayCount()
      .optional()
      .describe('Keep the newest of each of so many last days that have images. Default: not kept by day.')
      .meta({ examples: [14] }),
    keepBytes: byteSize()
      .optional()
      .describe('Keep the newest that together fit into so many bytes. Default: not kept by size.')
      .meta({ examples: ['100GiB'] }),
    groupBy: z
      .enum(['model', 'category', 'day'])
      .optional()
      .describe('Keep in each model, category or day (UTC) on its own. Default: all together.')
      .meta({ examples: ['model'] }),
    every: age(60_000).default(DEFAULT_EVERY).describe('How often it runs. Default: 1h.'),
    delay: age(0)
      .default(DEFAULT_DELAY)
      .describe('How long its plan is logged before its first run, and the first after a change. Default: 1d.'),
  })
  .superRefine((policy, context) => {
    if (KEEP_RULES.some((rule) => policy[rule] !== undefined)) return;
    context.addIssue({ code: 'custom', path: [KEEP_RULES[0]], message: WITHOUT_RULE });
  });

/** Returns the policy of settings that passed the schema. */
export function policyOf(name: string, checked: PolicySettings): Policy {
  const { keepWithin, every = DEFAULT_EVERY, delay = DEFAULT_DELAY, ...rest } = checked;
  return {
    ...rest,
    name,
    ...(keepWithin !== undefined && { keepWithinMs: parseAge(keepWithin)!.ageMs }),
    everyMs: parseAge(every)!.ageMs,
    delayMs: parseAge(delay)!.ageMs,
  };
}

/** Returns a hash of what decides which images go. */
export function hashOf(policy: Policy): string {
  const { model, category, tag, keepWithinMs, keepLast, keepDaily, keepBytes, groupBy } = policy;
  const parts = { model, category, tag, keepWithinMs, keepLast, keepDaily, keepBytes, groupBy };
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
