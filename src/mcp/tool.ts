/** What all tools have in common: schemas of input, the answer as a text of JSON, errors as results. */
import type { ContentBlock, McpServer, ToolAnnotations } from '@modelcontextprotocol/server';
import type { z } from 'zod';
import { explain } from './errors.ts';
import { shortInput } from './schema.ts';

export interface Tool<Input extends z.ZodObject> {
  name: string;
  title: string;
  description: string;
  annotations: Omit<ToolAnnotations, 'title'>;
  input: Input;
  run(input: z.output<Input>, signal: AbortSignal): Promise<Answer>;
}

export interface Answer {
  /** In the client's names. What is empty is left out. */
  value: object;
  /** Blocks that follow the text. */
  content?: ContentBlock[];
}

export type AddTool = <Input extends z.ZodObject>(tool: Tool<Input>) => void;

// What reads is idempotent; what is not said to be is not.
export const READS = { readOnlyHint: true, destructiveHint: false, openWorldHint: false };
export const SAVES = { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false };
export const UPDATES = { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false };
export const DELETES = { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false };

/** Returns a function that registers a tool. `address` is that of the daemon, for messages. */
export function toolAdder(server: McpServer, address: string): AddTool {
  return ({ name, input, run, ...about }) => {
    const inputSchema = shortInput(input as z.ZodObject);
    server.registerTool(name, { ...about, inputSchema }, async (args, { mcpReq }) => {
      try {
        const { value, content = [] } = await run(args as z.output<typeof input>, mcpReq.signal);
        return { content: [{ type: 'text', text: JSON.stringify(contractNames(value) ?? {}) }, ...content] };
      } catch (error) {
        return { isError: true, content: [{ type: 'text', text: explain(error, address) }] };
      }
    });
  };
}

/** Converts keys to snake case, as in the contract, and times to RFC 3339. Returns undefined for what is empty. */
function contractNames(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString();
  if (value === '' || value === null) return undefined;
  if (typeof value !== 'object') return value;
  // Those of a tuple keep their places.
  if (Array.isArray(value)) return value.length > 0 ? value.map((inner) => contractNames(inner) ?? inner) : undefined;
  const fields = Object.entries(value).flatMap(([key, inner]) => {
    const named = key === 'parameters' ? unlessEmpty(inner) : contractNames(inner);
    return named === undefined ? [] : [[snakeCase(key), named]];
  });
  return unlessEmpty(Object.fromEntries(fields));
}

/** Parameters have the names of their generator. */
function unlessEmpty(fields: object): object | undefined {
  return Object.keys(fields).length > 0 ? fields : undefined;
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
