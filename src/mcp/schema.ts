/** Shortens the schemas of tools: an assistant has them in its context whether it calls a tool or not. */
import type { z } from 'zod';

type Json = Record<string, unknown>;

/**
 * Returns the schema of an input without what every reader assumes. The library of tools asks `~standard` for JSON, and for
 * the checks, which stay as they are.
 */
export function shortInput<T extends z.ZodObject>(schema: T): T {
  const standard = schema['~standard'];
  const input = (options: never) => plain(standard.jsonSchema.input(options));
  return { '~standard': { ...standard, jsonSchema: { ...standard.jsonSchema, input } } } as unknown as T;
}

/** Leaves out the dialect, which is the default one, and the bounds of safe integers. */
function plain(value: Json): Json {
  return JSON.parse(
    JSON.stringify(value, (key, inner) => {
      const isBound = (key === 'maximum' || key === 'minimum') && Math.abs(inner) === Number.MAX_SAFE_INTEGER;
      return key === '$schema' || isBound ? undefined : inner;
    }),
  );
}
