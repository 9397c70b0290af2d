/** Declares JSON.parse source text access (TC39 stage 4, in V8 since Node 22), which TypeScript's libraries lack. */
interface JSON {
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
  rawJSON(text: string): unknown;
}
