/** Hosts of assistants: the official MCP clients, each with `image-storage mcp` in a process of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type CallToolResult, Client, type ReadResourceResult, type Tool } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { COMMAND } from '../support/command.ts';

export interface Assistant {
  tools(): Promise<Tool[]>;
  /** Rejects for errors of the protocol; those of a tool are results. */
  call(name: string, args?: object): Promise<CallToolResult>;
  read(uri: string): Promise<ReadResourceResult>;
  close(): Promise<void>;
}

const BRIDGE = fileURLToPath(new URL('./mcp_bridge.py', import.meta.url));

/** `revision` is that of the protocol: that of the first handshake, or the newest both sides know. */
export async function typeScriptAssistant(flags: string[], revision: 'legacy' | 'auto' = 'legacy'): Promise<Assistant> {
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: revision } });
  await client.connect(new StdioClientTransport({ command: process.execPath, args: [COMMAND, 'mcp', ...flags] }));
  return {
    tools: async () => (await client.listTools()).tools,
    call: (name, args = {}) => client.callTool({ name, arguments: { ...args } }),
    read: (uri) => client.readResource({ uri }),
    close: () => client.close(),
  };
}

/** `python` is an interpreter with PyPI's mcp. */
export async function pythonAssistant(python: string, flags: string[]): Promise<Assistant> {
  const bridge = spawn(python, [BRIDGE, process.execPath, COMMAND, 'mcp', ...flags], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: bridge.stdout })[Symbol.asyncIterator]();
  const ask = async (...request: unknown[]) => {
    bridge.stdin.write(`${JSON.stringify(request)}\n`);
    const { value = '{"error":"the bridge has ended"}' } = await lines.next();
    const { result, error } = JSON.parse(value);
    if (error !== undefined) throw new Error(error);
    return result;
  };
  return {
    tools: async () => (await ask('list_tools')).tools,
    call: (name, args = {}) => ask('call_tool', name, args),
    read: (uri) => ask('read_resource', uri),
    async close() {
      bridge.stdin.end();
      await once(bridge, 'exit');
    },
  };
}
