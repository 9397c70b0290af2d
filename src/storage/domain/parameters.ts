/** Converts generation parameters to JSON text and back, with integers beyond 2^53 exact (seeds are 64-bit). */

/** Parses a JSON object; integers that a double cannot hold become bigint. Throws a SyntaxError. */
export function parseParameters(json: string): Record<string, unknown> {
  if (json === '') return {};
  const value: unknown = JSON.parse(json, exactInteger);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new SyntaxError('not a JSON object');
  return value as Record<string, unknown>;
}

/** The inverse of `parseParameters`. */
export function stringifyParameters(parameters: Record<string, unknown>): string {
  return JSON.stringify(parameters, (_key, value) => (typeof value === 'bigint' ? JSON.rawJSON(String(value)) : value));
}

function exactInteger(_key: string, value: unknown, context: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  return context.source !== undefined && /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
}
