/** JSON as text: parsing it would round the seeds of 64 bits in it. */

/** A text, or one character that shapes the whole. */
const PARTS = /"(?:[^"\\]|\\.)*"|[{}[\],:]/gs;

/** Returns the value of a field of the object that the text is, as it is written; undefined where it has none. */
export function fieldText(json: string, name: string): string | undefined {
  let depth = 0;
  let key: string | undefined;
  let start: number | undefined;
  let isKeyNext = false;
  for (const { 0: part, index } of json.matchAll(PARTS)) {
    const isClosing = part === '}' || part === ']';
    if (isClosing) depth -= 1;
    if (start !== undefined && (depth === 0 || (depth === 1 && part === ','))) return json.slice(start, index).trim();
    if (part === '{' || part === '[') depth += 1;
    if (depth !== 1) continue;
    if (part.startsWith('"') && isKeyNext) key = part;
    isKeyNext = part === '{' || part === ',';
    if (part === ':' && key === JSON.stringify(name)) start = index + 1;
  }
  return undefined;
}

/** With a line for each value. */
export function indented(json: string): string {
  let depth = 0;
  const line = () => `\n${'  '.repeat(depth)}`;
  const shaped = json.replace(/"(?:[^"\\]|\\.)*"|\s+|[{[]\s*[}\]]|[{}[\],:]/gs, (part) => {
    if (part.startsWith('"')) return part;
    if (/^\s/.test(part)) return '';
    if (part.length > 1) return part[0]! + part.at(-1);
    if (part === '{' || part === '[') {
      depth += 1;
      return part + line();
    }
    if (part === '}' || part === ']') {
      depth -= 1;
      return line() + part;
    }
    return part === ',' ? part + line() : `${part} `;
  });
  return shaped;
}
