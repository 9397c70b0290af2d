/** The programs and commands that docs/clients.md shows, as they stand there. */
import { readFile } from 'node:fs/promises';

const root = new URL('../../', import.meta.url);

/** All blocks of that language, in order, pointed at the daemon at the address. */
export async function snippets(language: string, address = 'localhost:50051'): Promise<string[]> {
  const blocks = await blocksOf('docs/clients.md', language);
  return blocks.map((block) => block.replace('localhost:50051', address));
}

/** All blocks of that language on a page of the project, as they stand there. */
export async function blocksOf(page: string, language: string): Promise<string[]> {
  const fences = (await readFile(new URL(page, root), 'utf8')).matchAll(/^```(\w+)\n(.*?)^```$/gms);
  return [...fences].filter(([, tag]) => tag === language).map(([, , block]) => block!);
}
