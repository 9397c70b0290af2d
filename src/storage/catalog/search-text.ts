/** Folds the words of images and of queries alike, so that a search can compare them. */

/** Scripts whose words are found inside of others, and emoji: each character, with its marks, is a word of its own. */
const UNSPACED =
  /([[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Thai}\p{scx=Lao}\p{scx=Khmer}\p{scx=Myanmar}\p{Script=Hangul}\p{Extended_Pictographic}\p{Regional_Indicator}]&&[\p{L}\p{N}\p{Extended_Pictographic}\p{Regional_Indicator}]]\p{M}*)/gv;
const RUN = /[\p{L}\p{N}\p{M}\p{Extended_Pictographic}\p{Regional_Indicator}]+/gu;
const ASCII = /^[\0-\x7f]*$/;
/**
 * What people leave out when they type: accents, the vowels and signs of Arabic and Hebrew, the selectors, joiners and
 * skin tones of emoji, soft hyphens. Other scripts write vowels as marks, which stay.
 */
const UNTYPED =
  /[[[\p{M}&&[\p{Script=Inherited}\p{Script=Cyrillic}\p{Script=Arabic}\p{Script=Hebrew}]]--\p{scx=Hiragana}]\p{Emoji_Modifier}\u00ad\u0640\u200d]+/gv;
/** Letters that no normal form takes apart, and as what people type them. */
const TYPED: Record<string, string> = {
  ...{ Ł: 'L', Đ: 'D', Ð: 'D', Ø: 'O', Æ: 'AE', Œ: 'OE', Þ: 'TH', Ħ: 'H', Ŧ: 'T', Ŋ: 'N', ẞ: 'SS', ĸ: 'K' },
  // Persian and Egyptian forms of yeh and kaf.
  ...{ ی: 'ي', ى: 'ي', ک: 'ك' },
};
const UNTYPABLE = new RegExp(`[${Object.keys(TYPED).join('')}]`, 'gu');

/** Returns the words of a text, folded, with a space before each. */
export function searchText(text: string): string {
  const found = runsOf(text);
  return found.length === 0 ? '' : ` ${found.join(' ')}`;
}

/** Returns the words of each run of letters and digits, folded, with spaces between them. */
export function runsOf(text: string): string[] {
  // Most prompts are ASCII, which is several times faster.
  if (ASCII.test(text)) return text.toUpperCase().match(/[A-Z0-9]+/g) ?? [];
  return fold(text).match(RUN)?.map(wordsOf) ?? [];
}

/** Returns the words of a run with a space between them. */
function wordsOf(run: string): string {
  return run.replace(UNSPACED, ' $1 ').replace(/ +/g, ' ').trim();
}

/** Upper case is closer to case folding than lower case: ß is SS, and both small sigmas are one. */
export function fold(text: string): string {
  if (ASCII.test(text)) return text.toUpperCase();
  return text
    .normalize('NFKD')
    .replace(UNTYPED, '')
    .toUpperCase()
    .replace(UNTYPABLE, (letter) => TYPED[letter]!)
    .normalize('NFC');
}
