/** The part of a query that is being typed: what it may be completed to, and how. */

/** Fields whose values are names that the daemon knows. */
export type NamedField = 'model' | 'tag' | 'lora' | 'category';

export interface Token {
  /** Of the text that it stands for. */
  start: number;
  end: number;
  /** Undefined: a word, which may become any. */
  field: NamedField | undefined;
  /** As far as it is typed, without quotes. */
  beginning: string;
}

/** Text in quotes, perhaps with a field, and perhaps not closed yet; or all up to the next space. */
const TOKENS = /(?:[a-z0-9]+:)?"[^"]*(?:"|$)|\S+/gi;
const NAMED = /^(model|tag|lora|category):(.*)$/is;
/** A field whose value is not there yet, or finds nothing before it is whole. */
const UNFINISHED = /(^|\s)(?:-?[a-z]+:"?|(?:model|lora):"?\S?|(?:tag|category):(?:"[^"]*|\S*))$/i;

/** Undefined where nothing is being typed, or what cannot be completed. */
export function tokenAt(text: string, caret: number): Token | undefined {
  for (const { 0: whole, index: start } of text.matchAll(TOKENS)) {
    const end = start + whole.length;
    if (caret <= start || caret > end) continue;
    const [, field, value = whole] = NAMED.exec(whole) ?? [];
    const beginning = value.replaceAll('"', '');
    if (field === undefined && /[-:"()<>]/.test(whole[0]!)) return undefined;
    if (field === undefined && whole.includes(':')) return undefined;
    return { start, end, field: field?.toLowerCase() as NamedField | undefined, beginning };
  }
  return undefined;
}

/** The text with the token replaced; where `by` is empty, without the space that is then too many. */
export function replaceToken(text: string, { start, end }: Pick<Token, 'start' | 'end'>, by: string): string {
  const [before, after] = [text.slice(0, start), text.slice(end)];
  if (by === '') return `${before.trimEnd()} ${after.trimStart()}`.trim();
  return `${before}${by}${after.startsWith(' ') ? after : ` ${after}`}`;
}

/** As a value in a query. */
export function quoted(value: string): string {
  const plain = value.replaceAll('"', ' ').trim();
  return /[\s:]/.test(plain) ? `"${plain}"` : plain;
}

/** What to search for while it is typed. */
export function withoutUnfinished(text: string): string {
  return text.replace(UNFINISHED, '$1').trim();
}
