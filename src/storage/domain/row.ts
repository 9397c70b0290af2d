/** What a row of a list shows of the texts of an image. */
import type { Generation } from './image.ts';

/** Code points; a prompt and a negative prompt are cut after them. */
export const ROW_CHARACTERS = 300;

/** Returns the settings as a row shows them. */
export function rowOfGeneration(generation: Generation | undefined): Generation | undefined {
  const { negativePrompt = '' } = generation ?? {};
  if (negativePrompt.length <= ROW_CHARACTERS) return generation;
  return { ...generation, negativePrompt: firstCharacters(negativePrompt) };
}

function firstCharacters(text: string): string {
  // Each takes two code units at most.
  return [...text.slice(0, 2 * ROW_CHARACTERS)].slice(0, ROW_CHARACTERS).join('');
}
