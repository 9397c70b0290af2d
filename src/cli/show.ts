/** `image-storage show`: everything that is known of an image, as lines for people, or its workflow for ComfyUI. */
import type { Command } from 'commander';
import type { Generation, Image } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { eachField } from '../storage/domain/json-fields.ts';
import { type AddressFlags, type Session, withAddress, withClient } from './shared/connection.ts';
import { imageJson } from './shared/image-json.ts';
import { getNamed, IMAGE_ARGUMENT } from './shared/image-names.ts';
import { terminalWidth } from './terminal/table.ts';
import { displayText, formatBytes, formatTime, printError, printJson, printLine, wrapText } from './terminal/text.ts';

interface ShowFlags extends AddressFlags {
  workflow?: boolean;
  provider?: string;
  json?: boolean;
}

/** The drawn graph opens in ComfyUI as it was drawn; the one that ran opens, too. */
const WORKFLOWS = ['workflow', 'comfyui'];
const MAX_FIELDS = 4096;
/** The longest title, and a gap. */
const TITLE_WIDTH = 11;

export function registerShow(program: Command): void {
  const command = program
    .command('show')
    .description('show what is known of an image: prompt, model, seed, settings, tags, where it lies')
    .argument('<filename>', IMAGE_ARGUMENT)
    .option('--workflow', "print ComfyUI's graph instead, as JSON")
    .option('--provider <name>')
    .option('--json', 'print it as a JSON object')
    .action((filename: string, flags: ShowFlags) => withClient(flags, (session) => show(session, filename, flags)));
  withAddress(command);
}

async function show({ client, signal }: Session, typed: string, flags: ShowFlags): Promise<number> {
  const { provider, workflow, json } = flags;
  const { image } = await getNamed(client, typed, { provider, metadataOnly: true, signal });
  if (workflow) return printWorkflow(image);
  if (json) await printJson(imageJson(image));
  else for (const line of linesOf(image)) await printLine(line);
  return EXIT.OK;
}

async function printWorkflow({ filename, metadata }: Image): Promise<number> {
  const found = new Map<string, string>();
  if (metadata.parametersJson) eachField(metadata.parametersJson, MAX_FIELDS, (name, value) => found.set(name, value));
  const graph = WORKFLOWS.map((name) => found.get(name)).find((value) => value !== undefined);
  if (graph === undefined) {
    printError(`${filename} has no workflow; image-storage list --query has:workflow finds those that have one`);
    return EXIT.NEGATIVE;
  }
  // A graph may be stored as a text that holds it.
  await printLine(graph.startsWith('"') ? JSON.parse(graph) : graph);
  return EXIT.OK;
}

function linesOf(image: Image): string[] {
  const { filename, metadata, generation = {}, width, height, size, contentType, pinned, expireTime } = image;
  const { prompt, model, timestamp, category, tags } = metadata;
  const bytes = `${width}×${height}, ${formatBytes(size)}, ${contentType.replace('image/', '')}`;
  const fields: [string, string | undefined][] = [
    ['filename', filename],
    ['prompt', prompt],
    ['negative', generation.negativePrompt],
    ['model', model],
    ['seed', generation.seed],
    ['settings', settingsOf(generation)],
    ['loras', generation.loras?.join(', ')],
    ['image', bytes],
    ['time', `${formatTime(timestamp)} UTC`],
    ['category', category],
    ['tags', tags.join(', ')],
    ['pinned', pinned ? 'yes: no cleanup takes it' : ''],
    ['goes', expireTime && `after ${formatTime(expireTime)} UTC, unless it is pinned`],
    ['path', image.path],
    ['url', image.link ?? image.url],
    ['sha256', image.sha256],
  ];
  return fields.filter(([, value]) => value).flatMap(([title, value]) => fieldLines(title, value!));
}

function settingsOf({ steps, cfg, sampler, scheduler, width, height }: Generation): string {
  const size = width && height ? `asked for ${width}×${height}` : undefined;
  const parts = [steps && `${steps} steps`, cfg && `cfg ${cfg}`, sampler, scheduler, size];
  return parts.filter(Boolean).join(', ');
}

/** Breaks text between words; what has none, such as a path, is left to the terminal, so that it can be copied. */
function fieldLines(title: string, value: string): string[] {
  const width = Math.max(20, terminalWidth() - TITLE_WIDTH);
  const lines = value.split(/\r?\n/).flatMap((line) => wrapText(displayText(line), width));
  return lines.map((line, i) => (i === 0 ? title : '').padEnd(TITLE_WIDTH) + line);
}
