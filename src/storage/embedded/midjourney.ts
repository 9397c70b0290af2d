/** Reads the description that Midjourney writes: the prompt, its options, and the id of the job. */
import { settingOf } from './fields.ts';
import type { GeneratorMetadata } from './generator-metadata.ts';

const JOB = /\bJob ID: ([\da-f-]{36})\s*$/i;
/** The options stand behind the prompt. */
const OPTION = /(?:^|\s)--([a-z]{1,20})(?=\s|$)/gi;
const MAX_TEXT_CHARS = 64 * 1024 + 4096;

/** Reads `a fox --ar 16:9 --no fog Job ID: …`. Returns undefined for another description. */
export function readMidjourney(description: string): GeneratorMetadata | undefined {
  const text = description.slice(-MAX_TEXT_CHARS);
  const [end, job] = JOB.exec(text) ?? [];
  if (job === undefined) return undefined;
  const body = text.slice(0, text.length - end!.length);
  const options = [...body.matchAll(OPTION)];
  const settings: Record<string, unknown> = { job_id: job };
  options.forEach(({ 0: option, 1: name, index }, number) => {
    const value = body.slice(index + option.length, options[number + 1]?.index).trim();
    settings[name === 'no' ? 'negative_prompt' : name!] = value === '' || settingOf(value);
  });
  return { prompt: body.slice(0, options[0]?.index).trim(), settings };
}
