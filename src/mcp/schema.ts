/** Shortens the schemas of tools: an assistant has them in its context whether it calls a tool or not. */
import type { z } from 'zod';

type Json = Record<string, unknown>;

/** Returns the schema of an input without what every reader assumes. */
export function shortInput<T extends z.ZodObject>(schema: T): T {
  return withJson(schema, 'input', plain);
}

/** Returns the schema of an output, which names the fields of an answer: the answers themselves show what is in them. */
export function shortOutput<T extends z.ZodObject>(schema: T): T {
  return withJson(schema, 'output', (json) => plain(named(json)));
}

/** The library of tools asks `~standard` for JSON, and for the checks, which stay as they are. */
function withJson<T extends z.ZodObject>(schema: T, io: 'input' | 'output', change: (json: Json) => Json): T {
  const standard = schema['~standard'];
  const jsonSchema = { ...standard.jsonSchema, [io]: (options: never) => change(standard.jsonSchema[io](options)) };
  return { '~standard': { ...standard, jsonSchema } } as unknown as T;
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

/** Keeps the names of the fields, their types and descriptions; of what is in them only the type. */
function named({ type, properties }: Json): Json {
  const fields = Object.entries((properties as Record<string, Json>) ?? {});
  return { type, properties: Object.fromEntries(fields.map(([name, inner]) => [name, typed(inner)])) };
}

function typed({ type, description, items }: Json): Json {
  const itemType = (items as Json | undefined)?.type;
  return {
    ...(type !== undefined && { type }),
    ...(itemType !== undefined && { items: { type: itemType } }),
    description,
  };
}
