/** The blocks of programs, commands and configuration that README and docs show. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root: string = fileURLToPath(new URL('../..', import.meta.url));

export interface Block {
  /** Its path in the project. */
  page: string;
  /** Empty where the fence has none. */
  language: string;
  text: string;
}

export function blocks(): Block[] {
  const pages = globSync(['*.md', 'docs/*.md', '{clients,examples}/*/README.md'], { cwd: root }).sort();
  return pages.flatMap((page) => {
    const fences = readFileSync(join(root, page), 'utf8').matchAll(/^ *```(\w*)\n(.*?)^ *```$/gms);
    return [...fences].map(([, language, text]) => ({ page, language: language!, text: text! }));
  });
}
