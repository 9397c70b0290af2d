/** Reads the `parameters` text of AUTOMATIC1111's web UI, which Forge and many others write too. */
import { ExactNumber } from './fields.ts';
import type { GeneratorMetadata } from './generator-metadata.ts';

const NEGATIVE = 'Negative prompt:';
const SETTINGS_LINE = /(^|, )(Steps|Sampler|Seed|Size|Model): /;
const SETTING = /(\w[\w \-/]{0,60}): *("[^"\\]*(?:\\.[^"\\]*)*"|\{[^{}]*\}|[^,]*)(?:,|$)/g;
/** Longer texts are not taken apart; a save accepts 64 KiB of prompt. */
const MAX_TEXT_CHARS = 256 * 1024;
/** A longer line holds no settings. */
const MAX_LINE_CHARS = 64 * 1024;
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?$/;

/**
 * Reads a prompt, `Negative prompt: …`, and a line such as `Steps: 20, Sampler: Euler a, Seed: 1, Model:
 * dreamshaper_8`.
 */
export function readA1111(text: string): GeneratorMetadata {
  if (text.length > MAX_TEXT_CHARS) return { settings: {} };
  const lines = text.split(/\r?\n/);
  const settingsAt = lines.findLastIndex((line) => line.length <= MAX_LINE_CHARS && SETTINGS_LINE.test(line));
  const [prompt, negative] = splitPrompts(lines.slice(0, settingsAt === -1 ? undefined : settingsAt).join('\n'));
  const settings = readSettings(lines[settingsAt] ?? '');
  if (negative !== undefined) settings.push(['negative_prompt', negative]);
  const model = settings.find(([name]) => name === 'model')?.[1];
  return {
    prompt,
    model: model instanceof ExactNumber ? model.text : model,
    settings: Object.fromEntries(settings),
  };
}

function splitPrompts(text: string): [prompt: string, negative: string | undefined] {
  const at = `\n${text}`.indexOf(`\n${NEGATIVE}`);
  return at === -1 ? [text.trim(), undefined] : [text.slice(0, at).trim(), text.slice(at + NEGATIVE.length).trim()];
}

/** Returns the settings, with names in snake case as other generators have them. */
function readSettings(line: string): [name: string, value: string | ExactNumber][] {
  return [...line.matchAll(SETTING)].map(([, name, value]) => [
    name!.toLowerCase().replace(/\W+/g, '_'),
    settingValue(name!, value!.trim()),
  ]);
}

function settingValue(name: string, value: string): string | ExactNumber {
  if (value.startsWith('"')) return unquoted(value);
  // A hash is text, even when it has digits only.
  return NUMBER.test(value) && !/hash/i.test(name) ? new ExactNumber(value) : value;
}

function unquoted(value: string): string {
  try {
    return String(JSON.parse(value));
  } catch {
    return value;
  }
}
