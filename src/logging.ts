/** Sets up the log: one JSON object per line for machines, readable lines on a terminal. */
import { type Logger, pino, stdTimeFunctions } from 'pino';
import { prettyFactory } from 'pino-pretty';
import type { Config } from './config.ts';
import { openLineWriter, type StandardStream } from './logging/line-writer.ts';

/** The destination of log lines. */
export interface LogDestination extends StandardStream {
  hasColors?(): boolean;
}

/** Returns a logger that never waits for its destination, and never fails. */
export function createLogger({ level, format }: Config['log'], destination: LogDestination = process.stderr): Logger {
  const isPretty = format === 'pretty' || (format === 'auto' && destination.isTTY === true);
  const toText = isPretty ? prettifier(destination) : (line: string) => line;
  const lines = openLineWriter(destination, (dropped) => toText(lossOf(dropped)));
  const options = {
    level,
    base: undefined,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, { write: (line: string) => lines.write(toText(line)) });
}

function prettifier(destination: LogDestination): (line: string) => string {
  return prettyFactory({
    colorize: destination.hasColors?.() ?? false,
    translateTime: 'UTC:HH:MM:ss.l',
    singleLine: true,
  });
}

/** Returns the line about lines that were dropped, whatever the level. */
function lossOf(lines: number): string {
  const entry = { level: 'warn', time: new Date().toISOString(), lines, msg: 'the log lost lines: nothing took them' };
  return `${JSON.stringify(entry)}\n`;
}
