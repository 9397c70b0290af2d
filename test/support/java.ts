/** The programs in the examples of clients/java, built by Maven. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { oneAtATime } from './built-once.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const target = join(root, 'clients/java/target');

/** False, with the reason on stderr, where Maven, its JDK or what they need cannot be had. */
export async function javaAvailable(): Promise<boolean> {
  try {
    await maven('compile');
    return true;
  } catch (error) {
    console.warn('no Java client here:', (error as Error).message);
    return false;
  }
}

/** The command line of a program in the examples, built as they are now. */
export async function javaProgram(main: string): Promise<string[]> {
  await maven('test-compile', 'dependency:build-classpath', '-Dmdep.outputFile=target/classpath');
  const dependencies = await readFile(join(target, 'classpath'), 'utf8');
  const classpath = [join(target, 'classes'), join(target, 'test-classes'), dependencies].join(delimiter);
  return ['java', '-classpath', classpath, main];
}

/** The command line of the interop runner, built on first use; undefined, with the reason on stderr, where Java cannot be had. */
export async function javaRunner(): Promise<string[] | undefined> {
  return (await javaAvailable()) ? javaProgram('Interop') : undefined;
}

/** Runs Maven in clients/java, one at a time: test files run side by side, and Maven takes no lock on the folder it builds in. */
export async function maven(...args: string[]): Promise<void> {
  await oneAtATime('maven', () => mavenIn('clients/java', ...args));
}

export async function mavenIn(folder: string, ...args: string[]): Promise<void> {
  try {
    await promisify(execFile)('mvn', ['--batch-mode', '--quiet', '--file', folder, ...args], { cwd: root });
  } catch (error) {
    // Maven explains itself on stdout.
    throw new Error(`${(error as Error).message}\n${(error as { stdout?: string }).stdout ?? ''}`);
  }
}
