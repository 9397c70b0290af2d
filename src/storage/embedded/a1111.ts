/** Reads the `parameters` text of AUTOMATIC1111's web UI, which Forge, SD.Next, Civitai and many others write too. */

import { modelOfFile } from '../domain/model-file.ts';
import { eachSetting } from './a1111-settings.ts';
import { asFields, asText, ExactNumber } from './fields.ts';
import type { GeneratorMetadata } from './generator-metadata.ts';

const NEGATIVE = 'Negative prompt:';
/** A prompt may have a line that begins with the word alone. */
const SETTINGS_LINE = /^Steps: *\d+ *(,|$)/;
const OTHER_SETTINGS_LINE = /(^|, ?)(Steps|Sampler|Seed|Size|Model): /;
/** Texts behind the settings: what a prompt was made from. */
const TEMPLATE = /^(Template|Negative Template): ?/;
/** Longer texts are not taken apart; a save accepts 64 KiB of prompt. */
const MAX_TEXT_CHARS = 256 * 1024;
/** A longer line holds no settings. */
const MAX_LINE_CHARS = 64 * 1024;

/**
 * Reads a prompt, `Negative prompt: …`, and a line such as `Steps: 20, Sampler: Euler a, Seed: 1, Model:
 * dreamshaper_8`.
 */
export function readA1111(text: string): GeneratorMetadata {
  if (text.length > MAX_TEXT_CHARS) return { settings: {} };
  const lines = text.split(/\r?\n/);
  const settingsAt = findSettings(lines);
  const [prompt, negative] = splitPrompts(lines.slice(0, settingsAt === -1 ? undefined : settingsAt).join('\n'));
  const settings: Record<string, unknown> = {};
  for (const [name, value] of eachSetting(lines[settingsAt] ?? '')) settings[name] ??= value;
  if (settingsAt !== -1) Object.assign(settings, templatesIn(lines.slice(settingsAt + 1)));
  if (negative !== undefined) settings.negative_prompt = negative;
  return { prompt, model: modelOf(settings), settings };
}

function findSettings(lines: readonly string[]): number {
  const find = (pattern: RegExp) =>
    lines.findLastIndex((line) => line.length <= MAX_LINE_CHARS && pattern.test(line) && !TEMPLATE.test(line));
  const at = find(SETTINGS_LINE);
  return at === -1 ? find(OTHER_SETTINGS_LINE) : at;
}

function splitPrompts(text: string): [prompt: string, negative: string | undefined] {
  const at = `\n${text}`.indexOf(`\n${NEGATIVE}`);
  return at === -1 ? [text.trim(), undefined] : [text.slice(0, at).trim(), text.slice(at + NEGATIVE.length).trim()];
}

function templatesIn(lines: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  let name: string | undefined;
  for (const line of lines) {
    const [start, begun] = TEMPLATE.exec(line) ?? [];
    if (begun !== undefined) name = begun.toLowerCase().replace(' ', '_');
    if (name !== undefined)
      found[name] = `${found[name] === undefined ? '' : `${found[name]}\n`}${line.slice(start?.length ?? 0)}`;
  }
  return found;
}

/** Civitai names the model among its resources. */
function modelOf({ model, civitai_resources: resources }: Record<string, unknown>): string | undefined {
  const name = model instanceof ExactNumber ? model.text : asText(model);
  if (name) return modelOfFile(name);
  const checkpoint = Object.values(asFields(resources)).find((resource) => asFields(resource).type === 'checkpoint');
  return asText(asFields(checkpoint).modelName);
}
