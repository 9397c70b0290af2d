/**
 * What all tools have in common: schemas of input and output, the answer as structure and as text, errors as results.
 */
import type { ContentBlock, McpServer, ToolAnnotations } from '@modelcontextprotocol/server';
import type { z } from 'zod';
import { explain } from './errors.ts';
import { shortInput, shortOutput } from './schema.ts';

export interface Tool<Input extends z.ZodObject, Output extends z.ZodObject> {
  name: string;
  title: string;
  description: string;
  annotations: Omit<ToolAnnotations, 'title'>;
  input: Input;
  /** In the contract's names; fields that it does not name are left out of the answer. */
  output: Output;
  run(input: z.output<Input>, signal: AbortSignal): Promise<Answer>;
}

export interface Answer {
  /** In the client's names. */
  value: object;
  /** Blocks that follow the text. */
  content?: ContentBlock[];
}

export type AddTool = <Input extends z.ZodObject, Output extends z.ZodObject>(tool: Tool<Input, Output>) => void;

// What reads is idempotent; what is not said to be is not.
export const READS = { readOnlyHint: true, destructiveHint: false, openWorldHint: false };
export const SAVES = { readOnlyHint: false, destructiveHint: false, openWorldHint: false };
export const UPDATES = { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false };
export const DELETES = { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false };

/** Returns a function that registers a tool. `address` is that of the daemon, for messages. */
export function toolAdder(server: McpServer, address: string): AddTool {
  return ({ name, input, output, run, ...about }) => {
    const schemas = { inputSchema: shortInput(input as z.ZodObject), outputSchema: shortOutput(output as z.ZodObject) };
    server.registerTool(name, { ...about, ...schemas }, async (args, { mcpReq }) => {
      try {
        const { value, content = [] } = await run(args as z.output<typeof input>, mcpReq.signal);
        const structuredContent = output.parse(contractNames(value));
        const text = JSON.stringify(structuredContent);
        return { structuredContent, content: [{ type: 'text', text }, ...content] };
      } catch (error) {
        return { isError: true, content: [{ type: 'text', text: explain(error, address) }] };
      }
    });
  };
}

/** Converts keys to snake case, as in the contract, and times to RFC 3339. */
function contractNames(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(contractNames);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [snakeCase(key), contractNames(inner)]));
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
