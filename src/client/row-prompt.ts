/** Shows by an ellipsis where a list in rows may have cut a prompt. */

/** Code points that a row has of a prompt at most. */
const ROW_CHARACTERS = 300;

/** Returns the prompt, cut to what a row has of it; an older daemon sends all of it. */
export function rowPrompt(prompt: string): string {
  if (prompt.length < ROW_CHARACTERS) return prompt;
  const characters = [...prompt.slice(0, 2 * ROW_CHARACTERS)];
  return characters.length < ROW_CHARACTERS ? prompt : `${characters.slice(0, ROW_CHARACTERS - 1).join('')}…`;
}
