/** Which words of two texts differ: the longest common subsequence is what they share. */

export interface Piece {
  text: string;
  isShared: boolean;
}

/** Beyond it two texts only differ: the work grows with the product of their words. */
const MAX_WORDS = 1000;

/** Returns both texts in pieces, which joined are the text. */
export function compareWords(left: string, right: string): [left: Piece[], right: Piece[]] {
  const [a, b] = [wordsOf(left), wordsOf(right)];
  if (left === right || a.length > MAX_WORDS || b.length > MAX_WORDS) {
    const isShared = left === right;
    return [[{ text: left, isShared }], [{ text: right, isShared }]];
  }
  const lengths = lengthsOf(a, b);
  const [lefts, rights]: [Piece[], Piece[]] = [[], []];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && isSame(a[i]!, b[j]!)) {
      add(lefts, a[i++]!, true);
      add(rights, b[j++]!, true);
    } else if (j === b.length || (i < a.length && lengths[i + 1]![j]! >= lengths[i]![j + 1]!))
      add(lefts, a[i++]!, false);
    else add(rights, b[j++]!, false);
  }
  return [lefts, rights];
}

/** Each with the space behind it. */
function wordsOf(text: string): string[] {
  return text.match(/\S+\s*|^\s+/g) ?? [];
}

function isSame(a: string, b: string): boolean {
  return a.trim() === b.trim();
}

/** The number of words that the texts share from each place on. */
function lengthsOf(a: readonly string[], b: readonly string[]): Uint16Array[] {
  const lengths = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      lengths[i]![j] = isSame(a[i]!, b[j]!)
        ? lengths[i + 1]![j + 1]! + 1
        : Math.max(lengths[i + 1]![j]!, lengths[i]![j + 1]!);
    }
  }
  return lengths;
}

function add(pieces: Piece[], text: string, isShared: boolean): void {
  const last = pieces.at(-1);
  if (last?.isShared === isShared) last.text += text;
  else pieces.push({ text, isShared });
}
