/** What a command needs of the configuration before, or without, reading it: no schema is loaded for that. */
import { DEFAULT_ADDRESS, parseTarget, TARGET_FORMS } from '../address.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Lists every problem of a configuration; contains no value that may be secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.length === 1 ? problems[0] : ['the configuration has several errors:', ...problems].join('\n  '));
    this.problems = problems;
  }
}

/** Returns the variables of this process. */
export function processEnvironment(): Environment {
  return process.env;
}

/**
 * Returns the folder in which `npm run cli` was called, which npm leaves for the root of the checkout; else undefined.
 */
export function folderOfCaller(env: Environment = processEnvironment()): string | undefined {
  const isOurs = env.npm_package_name === 'image-storage' && env.npm_lifecycle_event === 'cli';
  return isOurs ? env.INIT_CWD : undefined;
}

/** Returns the default address of clients. Throws a ConfigError where IMAGE_STORAGE_ADDRESS is not an address. */
export function clientAddress(env: Environment = processEnvironment()): string {
  const address = env.IMAGE_STORAGE_ADDRESS || DEFAULT_ADDRESS;
  if (parseTarget(address)) return address;
  throw new ConfigError([`IMAGE_STORAGE_ADDRESS: "${address}" is no address: ${TARGET_FORMS}`]);
}
