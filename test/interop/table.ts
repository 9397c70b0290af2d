/** The table of docs/interop.md: which client was shown to do what. */
import type { Case, Kind } from './case.ts';

const INTRODUCTION = `# Interop

Every client against one real daemon, case by case. \`npm run interop\` writes this page from [\`test/interop/cases.json\`](../test/interop/cases.json) when all cases pass.

TypeScript, Python and Go are our own clients; the others are gRPC libraries with the messages generated from the contract only.
\`–\`: not applicable. Our own clients declare sizes and checksums, follow page tokens and resume broken calls by themselves; Java and Rust run only the cases of save, list, get and totals.

`;

export function interopTable(languages: { name: string; kind: Kind }[], cases: Case[]): string {
  const rows = cases.map(({ name, runs }) => [name, ...languages.map(({ kind }) => (runs.includes(kind) ? '✓' : '–'))]);
  const header = ['case', ...languages.map(({ name }) => name)];
  // As wide as Markdown formatters make them.
  const widths = header.map((_, column) => Math.max(3, ...[header, ...rows].map((row) => row[column]!.length)));
  const line = (cells: string[]) => `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |\n`;
  return INTRODUCTION + [header, widths.map((width) => '-'.repeat(width)), ...rows].map(line).join('');
}
