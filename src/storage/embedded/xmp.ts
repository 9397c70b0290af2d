/** Reads properties of XMP (ISO 16684-1): an attribute, an element, or the first item of a list in one. */

/** The most occurrences of a name to look at; in a description it is once. */
const MAX_OCCURRENCES = 16;
/** Longer texts hold no prompt that a save accepts. */
const MAX_TEXT_CHARS = 256 * 1024;
const ATTRIBUTE_VALUE = /\s*=\s*("[^"]*"|'[^']*')/y;
const ENTITY = /&(?:(lt|gt|quot|apos|amp)|#(\d{1,7}|x[\da-f]{1,6}));/gi;
const ENTITIES: Record<string, string> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };

/** Returns the text of a property, such as `dc:description`; undefined when there is none. */
export function xmpProperty(xml: string, name: string): string | undefined {
  let at = -1;
  for (let left = MAX_OCCURRENCES; left > 0; left -= 1) {
    at = xml.indexOf(name, at + 1);
    if (at === -1) return undefined;
    const before = xml.charAt(at - 1);
    const text = before === '<' ? elementText(xml, name, at) : /\s/.test(before) ? attributeText(xml, name, at) : '';
    if (text) return text.length > MAX_TEXT_CHARS ? undefined : decoded(text.trim());
  }
  return undefined;
}

function attributeText(xml: string, name: string, at: number): string | undefined {
  ATTRIBUTE_VALUE.lastIndex = at + name.length;
  return ATTRIBUTE_VALUE.exec(xml)?.[1]?.slice(1, -1);
}

function elementText(xml: string, name: string, at: number): string | undefined {
  // The name of another element begins with it.
  if (!/[\s/>]/.test(xml.charAt(at + name.length))) return undefined;
  const end = xml.indexOf(`</${name}>`, at);
  const content = end === -1 ? undefined : contentOf(xml.slice(at, end));
  const item = content?.indexOf('<rdf:li') ?? -1;
  if (item === -1) return content?.includes('<') ? undefined : content;
  const itemEnd = content!.indexOf('</rdf:li>', item);
  return itemEnd === -1 ? undefined : contentOf(content!.slice(item, itemEnd));
}

/** Returns what follows the opening tag; undefined when the element is empty. */
function contentOf(element: string): string | undefined {
  const end = element.indexOf('>');
  return end === -1 || element.charAt(end - 1) === '/' ? undefined : element.slice(end + 1);
}

function decoded(text: string): string {
  return text.replace(ENTITY, (entity: string, name: string | undefined, code = '') => {
    if (name !== undefined) return ENTITIES[name.toLowerCase()]!;
    const point = code.toLowerCase().startsWith('x') ? Number.parseInt(code.slice(1), 16) : Number(code);
    return point <= 0x10ffff ? String.fromCodePoint(point) : entity;
  });
}
