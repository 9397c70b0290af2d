/** Finds the names that someone who wrote another may have meant. */
import { fold } from '../catalog/search-text.ts';
import { editDistance } from '../domain/edit-distance.ts';

/** What is compared of a name. */
const MAX_LETTERS = 48;
/** A beginning or a part of fewer letters tells nothing. */
const MIN_PART = 3;

/**
 * Returns the names that are similar, the most similar first, of those as similar in their order; all names where none
 * is similar.
 */
export function similarTo(name: string, known: readonly string[]): string[] {
  const wanted = lettersOf(name);
  const ranked = known.map((candidate) => ({ candidate, distance: distanceOf(wanted, lettersOf(candidate)) }));
  const similar = ranked.filter(({ distance }) => distance < Infinity).sort((a, b) => a.distance - b.distance);
  return (similar.length > 0 ? similar : ranked).map(({ candidate }) => candidate);
}

/** A name of which the other is the beginning is as near as one with a letter wrong. */
function distanceOf(a: string, b: string): number {
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  const mayDiffer = Math.max(1, Math.floor(short.length / 4));
  const edits = long.length - short.length > mayDiffer ? Infinity : editDistance(a, b, mayDiffer);
  if (edits < Infinity) return edits;
  if (short.length < MIN_PART) return Infinity;
  if (long.startsWith(short)) return 1;
  return long.includes(short) ? 2 : Infinity;
}

/** Returns the letters and digits of a name, folded. */
function lettersOf(name: string): string {
  return fold(name)
    .replace(/[^\p{L}\p{N}]/gu, '')
    .slice(0, MAX_LETTERS);
}
