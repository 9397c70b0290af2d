/** Finds the known name that a misspelt one most likely means. */
import { editDistance } from '../storage/domain/edit-distance.ts';

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
