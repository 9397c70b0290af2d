/** Compares names letter by letter. */

/** Returns the Levenshtein distance: insertions, deletions and replacements; Infinity where it is more than `most`. */
export function editDistance(a: string, b: string, most = Number.POSITIVE_INFINITY): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const distance = Math.min(replaced, row[j]! + 1, next[j - 1]! + 1);
      least = Math.min(least, distance);
      next.push(distance);
    }
    // It never shrinks from row to row.
    if (least > most) return Number.POSITIVE_INFINITY;
    row = next;
  }
  const distance = row[b.length]!;
  return distance > most ? Number.POSITIVE_INFINITY : distance;
}
