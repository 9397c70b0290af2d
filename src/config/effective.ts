/** Reports every effective setting: its value, unless it is a secret, and its origin. */
import * as z from 'zod';
import type { Setting } from './layers.ts';
import { type Config, POLICY_SETTINGS, PROVIDER_SETTINGS, SETTINGS } from './schema.ts';

export interface EffectiveSetting {
  /** `limits.maxSaves`, `providers.s3.bucket` */
  path: string;
  /** Undefined where nothing is set, and for secrets. */
  value: string | number | boolean | string[] | undefined;
  /** The flag, the variable, or the file with its line; undefined for a default. */
  origin: string | undefined;
  /** The default, in words. */
  default: string;
  /** True for secret settings, set or not. */
  isSecret: boolean;
  /** True for free text, which may identify its user; false for numbers, booleans and one of a few words. */
  isPrivate: boolean;
}

/** Returns the settings in the order of the schema. */
export function effectiveSettings(config: Config, given: ReadonlyMap<string, Setting>): EffectiveSetting[] {
  const providers = Object.entries(config.providers).flatMap(([name, { type }]) =>
    [...PROVIDER_SETTINGS[type]!].map(([key, schema]) => [`providers.${name}.${key}`, schema] as const),
  );
  const policies = Object.keys(config.retention).flatMap((name) =>
    [...POLICY_SETTINGS].map(([key, schema]) => [`retention.${name}.${key}`, schema] as const),
  );
  return [...SETTINGS, ...providers, ...policies].map(([path, schema]) => {
    const value = valueAt(config, path);
    const isSecret = schema.meta()?.writeOnly === true;
    return {
      path,
      value: isSecret || value === '' ? undefined : value,
      origin: given.get(path)?.origin,
      default: defaultOf(schema),
      isSecret,
      isPrivate: typeof value === 'object' || (typeof value === 'string' && !isOneOfFew(path, schema)),
    };
  });
}

function valueAt(config: Config, path: string): EffectiveSetting['value'] {
  let value: unknown = config;
  for (const key of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[key];
  return value as EffectiveSetting['value'];
}

/** Returns the default from the description, which ends with it. */
function defaultOf({ description = '' }: z.ZodType): string {
  return description.slice(description.indexOf('Default: ') + 'Default: '.length).replace(/\.$/, '');
}

function isOneOfFew(path: string, schema: z.ZodType): boolean {
  // A provider's name: the paths show it anyway.
  if (path === 'defaultProvider') return true;
  const { enum: words, const: word } = z.toJSONSchema(schema, { io: 'input' });
  return words !== undefined || word !== undefined;
}
