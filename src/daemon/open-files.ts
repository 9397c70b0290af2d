/** Compares the limit of open files of this process with what the configured limits may need. */
import { readFileSync } from 'node:fs';
import type { Config } from '../config.ts';
import type { Logger } from '../storage/domain/logger.ts';

/** Node's own, the standard streams, the listeners. */
const FILES_OF_PROCESS = 64;
/** Catalog, log of the catalog and lock, in three threads. */
const FILES_OF_PROVIDER = 16;
/** The part of the image, and a folder that is synced. */
const FILES_OF_SAVE = 2;
/** The socket, and an image that is read. */
const FILES_OF_CONNECTION = 2;
const SOFT_LIMIT = /^Max open files +(\d+|unlimited)/m;

/** Warns when calls could fail for want of descriptors before the configured limits are reached. */
export function warnOfFewFiles({ limits, providers }: Config, log: Logger): void {
  const limit = limitOfOpenFiles();
  const perProvider = FILES_OF_PROVIDER + FILES_OF_SAVE * limits.maxSaves;
  const needed =
    FILES_OF_PROCESS + FILES_OF_CONNECTION * limits.maxConnections + perProvider * Object.keys(providers).length;
  if (limit === undefined || limit >= needed) return;
  const message = `the limit of open files is ${limit}, and limits.maxConnections and limits.maxSaves may need ${needed}: raise it (ulimit -n, LimitNOFILE=), or lower them`;
  log.warn({ limit, needed }, message);
}

/** Returns undefined where the system does not report it (not Linux) or has none. Node raises the soft limit to the hard one. */
function limitOfOpenFiles(): number | undefined {
  try {
    const [, limit] = SOFT_LIMIT.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return limit === undefined || limit === 'unlimited' ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}
