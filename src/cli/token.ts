/** `image-storage token new`: makes a token, and prints the line that lets the daemon know it, and a link that opens its page. */
import { type Command, InvalidArgumentError } from 'commander';
import { isScope, SCOPES, type Scope } from '../auth/scope.ts';
import { isTokenName, newToken, tokenLine } from '../auth/tokens.ts';
import { ConfigError, processEnvironment } from '../config/process.ts';
import { loadConfig } from '../config.ts';
import * as dates from '../storage/domain/dates.ts';
import { pageUrlOf } from './shared/page-url.ts';
import { printError, printJson, printLine } from './terminal/text.ts';

interface NewFlags {
  scope: Scope[];
  expires?: Date;
  json?: boolean;
  config?: string;
}

export function registerToken(program: Command): void {
  program
    .command('token')
    .description('make tokens for callers of a daemon')
    .command('new')
    .description('print a new token, and its line for the file of auth.tokensFile')
    .argument('<name>', 'who gets it, for the log and for taking it back', checkName)
    .requiredOption('--scope <scopes>', `what it may do: ${SCOPES.join(', ')}; may be repeated`, collectScopes)
    .option('--expires <time>', 'a date, which is included, a time in RFC 3339, or from now such as 90d', parseExpiry)
    .option('--config <file>', 'the YAML file of the daemon, for the link (default: IMAGE_STORAGE_CONFIG)')
    .option('--json', 'print them as a JSON object')
    .action(printNew);
}

function checkName(text: string): string {
  if (!isTokenName(text)) throw new InvalidArgumentError('expected letters, digits, and . _ @ - within, at most 64');
  return text;
}

function collectScopes(text: string, scopes: Scope[] = []): Scope[] {
  const named = text.split(',').map((word) => word.trim());
  if (!named.every(isScope)) throw new InvalidArgumentError(`expected of ${SCOPES.join(', ')}`);
  return [...new Set([...scopes, ...named])];
}

function parseExpiry(text: string): Date {
  const age = dates.parseAge(text);
  const end = age === undefined ? dates.parseRangeEnd(text) : new Date(Date.now() + age.ageMs);
  if (end === undefined || end.getTime() <= Date.now()) throw new InvalidArgumentError('expected a time to come');
  return end;
}

async function printNew(name: string, { scope, expires, json, config }: NewFlags): Promise<void> {
  const token = newToken();
  const line = tokenLine(name, token, scope, expires);
  const page = pageUrl(config);
  const link = page && `${page}/#t=${token}`;
  if (json) {
    await printJson({ token, line, link });
    return;
  }
  await printLine(`The token, which is shown only now; its holder sets IMAGE_STORAGE_TOKEN to it:\n\n${token}\n`);
  await printLine(`The line for the file of auth.tokensFile (IMAGE_STORAGE_AUTH_TOKENS_FILE):\n\n${line}`);
  if (link !== undefined) await printLine(`\nA link for a browser, which holds the token:\n\n${link}`);
}

/** Returns where the page is; undefined where the configuration does not tell. */
function pageUrl(configFile: string | undefined): string | undefined {
  try {
    // What is missing of the lock is what the token is for.
    return pageUrlOf(loadConfig({ flags: { insecure: true }, env: processEnvironment(), configFile }));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    printError('no link: the configuration has errors, which image-storage config check names');
    return undefined;
  }
}
