/** `image-storage config`: checks the configuration, or prints the effective settings. */
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { processEnvironment } from '../config/process.ts';
import { type EffectiveSetting, explainConfig } from '../config.ts';
import { type SettingsFlags, withSettings } from './shared/settings.ts';
import { countOf, displayText, printJson, printLine } from './terminal/text.ts';

interface PrintFlags extends SettingsFlags {
  redact?: boolean;
  json?: boolean;
}

const HIDDEN = '(hidden)';

export function registerConfig(program: Command): void {
  const config = program.command('config').description('check the configuration, or print it');
  withSettings(
    config.command('check').description('say whether serve would take it: exit code 0, or 78 and why not'),
  ).action(check);
  withSettings(
    config.command('print').description('print each setting as YAML, and where it came from; never a secret'),
  )
    .option('--redact', 'hide all text that was chosen freely, too (addresses, buckets, folders), to show it to others')
    .option('--json', 'print one JSON object a line for each setting')
    .action(print);
}

function explain({ config: configFile, ...flags }: SettingsFlags): EffectiveSetting[] {
  return explainConfig({ flags, env: processEnvironment(), configFile });
}

async function check(flags: SettingsFlags): Promise<void> {
  const given = explain(flags).filter(({ origin }) => origin !== undefined);
  await printLine(`ok: ${countOf(given.length, 'setting')} read, the others have their defaults`);
  for (const { path, origin } of given) await printLine(displayText(`${path} (${origin})`));
}

async function print({ redact = false, json = false, ...flags }: PrintFlags): Promise<void> {
  const settings = explain(flags).map((setting) => (redact ? redacted(setting) : setting));
  if (json) for (const setting of settings) await printJson(jsonOf(setting));
  else for (const line of yamlLines(settings)) await printLine(line);
}

/** Hides what could identify the owner of the configuration: keeps names of providers, hides those of files. */
function redacted(setting: EffectiveSetting): EffectiveSetting {
  const { value, origin, isPrivate, isSecret } = setting;
  // A default is public, but not as an absolute path.
  if (isPrivate && origin === undefined) return { ...setting, value: undefined };
  return {
    ...setting,
    value: isPrivate ? undefined : value,
    origin: origin?.replace(/^.*(?=:\d+$)/s, 'file'),
    isSecret: isPrivate || isSecret,
  };
}

function jsonOf({ path, value, origin, isSecret, default: unset }: EffectiveSetting): object {
  if (isSecret && origin !== undefined) return { path, hidden: true, origin };
  return { path, value, origin: origin ?? 'default', ...(value === undefined && { default: unset }) };
}

/** Yields a file that `--config` accepts; settings that are unset or hidden are comments. */
function* yamlLines(settings: EffectiveSetting[]): Generator<string> {
  let open: string[] = [];
  for (const setting of settings) {
    const parents = setting.path.split('.').slice(0, -1);
    const shared = parents.findIndex((key, depth) => key !== open[depth]);
    const known = shared === -1 ? parents.length : shared;
    for (let depth = known; depth < parents.length; depth += 1) yield `${indent(depth)}${parents[depth]}:`;
    open = parents;
    yield indent(parents.length) + yamlLine(setting);
  }
}

const indent = (depth: number) => '  '.repeat(depth);

function yamlLine({ path, value, origin, isSecret, default: unset }: EffectiveSetting): string {
  const key = path.slice(path.lastIndexOf('.') + 1);
  if (value !== undefined) return `${key}: ${flow(value)} # ${displayText(origin ?? 'default')}`;
  if (isSecret && origin !== undefined) return `# ${key}: ${HIDDEN}, from ${displayText(origin)}`;
  return `# ${key}: (not set) ${unset}`;
}

function flow(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trimEnd();
}
