/** Goes through the fields of a JSON object without parsing their values. */

const [QUOTE, COMMA, BACKSLASH] = [0x22, 0x2c, 0x5c];
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Passes the name, as it is escaped in the text, and the text of the value of each field of an object; at most
 * `maxFields`. Requires JSON: what is passed from another text is undefined.
 */
export function eachField(json: string, maxFields: number, use: (name: string, value: string) => void): void {
  let at = pastSpace(json, 0);
  if (json.charCodeAt(at) !== OPEN_OBJECT) return;
  at += 1;
  for (let left = maxFields; left > 0; left -= 1) {
    at = pastSpace(json, at);
    if (json.charCodeAt(at) !== QUOTE) return;
    const nameEnd = endOfString(json, at);
    const valueAt = pastSpace(json, pastSpace(json, nameEnd) + 1);
    const valueEnd = endOfValue(json, valueAt);
    use(json.slice(at + 1, nameEnd - 1), json.slice(valueAt, valueEnd));
    at = pastSpace(json, valueEnd);
    if (json.charCodeAt(at) !== COMMA) return;
    at += 1;
  }
}

/** Returns the index after the closing quote of the string that begins there. */
export function endOfString(json: string, start: number): number {
  for (let end = json.indexOf('"', start + 1); end !== -1; end = json.indexOf('"', end + 1)) {
    let escapes = end;
    while (json.charCodeAt(escapes - 1) === BACKSLASH) escapes -= 1;
    if ((end - escapes) % 2 === 0) return end + 1;
  }
  return json.length;
}

/** Returns the index behind the value that begins there. */
export function endOfValue(json: string, start: number): number {
  const first = json.charCodeAt(start);
  if (first === QUOTE) return endOfString(json, start);
  return first === OPEN_ARRAY || first === OPEN_OBJECT ? endOfContainer(json, start) : endOfScalar(json, start);
}

function endOfContainer(json: string, start: number): number {
  let depth = 0;
  for (let at = start; at < json.length; at += 1) {
    const next = json.charCodeAt(at);
    if (next === QUOTE) at = endOfString(json, at) - 1;
    else if (next === OPEN_ARRAY || next === OPEN_OBJECT) depth += 1;
    else if (next === CLOSE_ARRAY || next === CLOSE_OBJECT) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return json.length;
}

function endOfScalar(json: string, start: number): number {
  let at = start;
  for (; at < json.length; at += 1) {
    const next = json.charCodeAt(at);
    if (next <= 0x20 || next === COMMA || next === CLOSE_OBJECT || next === CLOSE_ARRAY) break;
  }
  return at;
}

function pastSpace(json: string, start: number): number {
  let at = start;
  while (json.charCodeAt(at) <= 0x20) at += 1;
  return at;
}
