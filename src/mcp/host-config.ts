/** What a host of assistants is told to start this program as an MCP server, in the form that it reads. */

/** A program and its arguments. */
export interface Launch {
  command: string;
  args: string[];
}

const NAME = 'images';

/** Where each goes: docs/mcp.md. */
const HOSTS: Record<string, (launch: Launch) => string> = {
  'claude-desktop': (launch) => json({ mcpServers: { [NAME]: launch } }),
  'claude-code': ({ command, args }) => `claude mcp add ${NAME} -- ${[command, ...args].map(quoted).join(' ')}`,
  cursor: (launch) => json({ mcpServers: { [NAME]: launch } }),
  vscode: (launch) => json({ servers: { [NAME]: { type: 'stdio', ...launch } } }),
  other: json,
};

export const HOST_NAMES = Object.keys(HOSTS);

export function hostConfig(host: string, launch: Launch): string {
  return HOSTS[host]!(launch);
}

function json(value: object): string {
  return JSON.stringify(value, undefined, 2);
}

/** For the shells of Linux and macOS. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
