/** The programs and commands that docs/clients.md shows, as they stand there. */
import { readFile } from 'node:fs/promises';

const page = new URL('../../docs/clients.md', import.meta.url);

/** All blocks of that language, in order, pointed at the daemon at the address. */
export async function snippets(language: string, address = 'localhost:50051'): Promise<string[]> {
  const fences = (await readFile(page, 'utf8')).matchAll(/^```(\w+)\n(.*?)^```$/gms);
  const blocks = [...fences].filter(([, tag]) => tag === language).map(([, , block]) => block!);
  return blocks.map((block) => block.replace('localhost:50051', address));
}
