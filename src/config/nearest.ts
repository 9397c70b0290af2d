/** Finds the known name that a misspelt one most likely means. */

/**
 * Returns the most similar name, or undefined where none is similar enough. A key under the wrong parent counts as
 * similar.
 */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const distances = known.map((candidate) => ({ candidate, distance: distanceOf(name, candidate) }));
  const [best] = distances.sort((a, b) => a.distance - b.distance);
  return best && best.distance <= name.length / 4 ? best.candidate : undefined;
}

function distanceOf(name: string, candidate: string): number {
  const whole = editDistance(letters(name), letters(candidate));
  const isMisplaced = letters(lastKey(name)) === letters(lastKey(candidate));
  return isMisplaced ? Math.min(whole, 1) : whole;
}

const letters = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '');
const lastKey = (name: string) => name.slice(name.lastIndexOf('.') + 1);

/** Returns the Levenshtein distance: insertions, deletions and replacements. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
