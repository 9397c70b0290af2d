/** Sets up the log: one JSON object per line for machines, readable lines on a terminal. */
import { type Logger, pino, stdTimeFunctions } from 'pino';
import { prettyFactory } from 'pino-pretty';
import type { Config } from './config.ts';

/** The destination of log lines: an open file, pipe or terminal. */
export interface LogDestination {
  fd: number;
  isTTY?: boolean;
  hasColors?(): boolean;
}

/** Returns a logger that writes each line before its call returns, so that none is missing after a crash. */
export function createLogger({ level, format }: Config['log'], destination: LogDestination = process.stderr): Logger {
  const lines = pino.destination({ fd: destination.fd, sync: true });
  const options = {
    level,
    base: undefined,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const isPretty = format === 'pretty' || (format === 'auto' && destination.isTTY === true);
  if (!isPretty) return pino(options, lines);
  const pretty = prettyFactory({
    colorize: destination.hasColors?.() ?? false,
    translateTime: 'UTC:HH:MM:ss.l',
    singleLine: true,
  });
  return pino(options, { write: (line: string) => lines.write(pretty(line)) });
}
