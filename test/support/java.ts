/** The programs in the examples of clients/java, built by Maven. */
import { execFile } from 'node:child_process';
import { cp, readFile } from 'node:fs/promises';
import { basename, delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { builtOnce, cached, kept, oneAtATime } from './built-once.ts';
import { fingerprintOf } from './sources.ts';

const RUNNER = 'Interop';
const root = fileURLToPath(new URL('../..', import.meta.url));
const target = join(root, 'clients/java/target');
/** Takes half the processor time, in a process that ends before better code would pay. */
const SHORT_LIVED = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];
const SOURCES = ['clients/java/pom.xml', 'clients/java/examples/**/*.java', 'proto/**/*.proto'];

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
  return ['java', ...SHORT_LIVED, '-classpath', await javaClasspath(), main];
}

/** The classes of client and examples, built as they are now, and what they depend on. */
export async function javaClasspath(): Promise<string> {
  await maven('test-compile', 'dependency:build-classpath', '-Dmdep.outputFile=target/classpath');
  const dependencies = await readFile(join(target, 'classpath'), 'utf8');
  return [join(target, 'classes'), join(target, 'test-classes'), dependencies].join(delimiter);
}

/** The command line of the interop runner, built once for its sources; undefined, with the reason on stderr, where Java cannot be had. */
export async function javaRunner(): Promise<string[] | undefined> {
  try {
    const folder = await builtOnce(kept(`java-${await fingerprintOf(SOURCES)}`), collectClasses);
    return [
      'java',
      ...SHORT_LIVED,
      '-classpath',
      ['classes', 'test-classes', '*'].map((name) => join(folder, name)).join(delimiter),
      RUNNER,
    ];
  } catch (error) {
    console.warn('no Java client here:', (error as Error).message);
    return undefined;
  }
}

/** All that the programs need: the classes, in their folders, and the archives that they depend on. */
async function collectClasses(folder: string): Promise<void> {
  const classpath = await javaClasspath();
  for (const path of classpath.split(delimiter)) await cp(path, join(folder, basename(path)), { recursive: true });
}

/** Runs Maven in clients/java, one at a time: test files run side by side, and Maven takes no lock on the folder it builds in. */
export async function maven(...args: string[]): Promise<void> {
  await oneAtATime(cached('maven'), () => mavenIn('clients/java', ...args));
}

export async function mavenIn(folder: string, ...args: string[]): Promise<void> {
  try {
    await promisify(execFile)('mvn', ['--batch-mode', '--quiet', '--file', folder, ...args], { cwd: root });
  } catch (error) {
    // Maven explains itself on stdout.
    throw new Error(`${(error as Error).message}\n${(error as { stdout?: string }).stdout ?? ''}`);
  }
}
