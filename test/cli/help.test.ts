/** The help of the command line: groups, and examples that can be run as they are. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { expect, it, onTestFinished } from 'vitest';
import { completionScript } from '../../src/cli/completion.ts';
import { EXAMPLES } from '../../src/cli/shared/examples.ts';
import { createProgram } from '../../src/main.ts';
import { requires } from '../support/requires.ts';
import { hasScript } from '../support/terminal.ts';

const program = await createProgram();
const named = (name: string) => program.commands.find((command) => command.name() === name)!;

it('has every command in a group, and no line beyond what it needs', () => {
  const help = program.helpInformation();
  const groups = help.split('\n\n').map((block) => block.split('\n')[0]);
  const titles = ['Bring images in:', 'Find and look:', 'Keep and let go:', 'Run the daemon:', 'Look after stores:'];
  expect(groups).toEqual(expect.arrayContaining([...titles, 'For other programs:']));
  const alone = groups.indexOf('Commands:') === -1 ? [] : help.split('Commands:\n')[1]!.trim().split('\n');
  expect(alone.map((line) => line.trim().split(' ')[0])).toEqual(alone.length === 0 ? [] : ['help']);
});

it('has two examples for each command, with flags that there are', () => {
  expect(Object.keys(EXAMPLES).sort()).toEqual(program.commands.map((command) => command.name()).sort());
  for (const [name, examples] of Object.entries(EXAMPLES)) {
    for (const example of examples) {
      const [first, ...words] = example.replace(/ > .*/, '').match(/"[^"]*"|'[^']*'|\S+/g)!;
      expect(first).toBe(name);
      expect(problemOf(named(name), words), example).toBeUndefined();
    }
  }
});

/** Unset where commander takes the words, down to a subcommand. */
function problemOf(command: Command, words: string[]): string | undefined {
  const below = command.commands.find((each) => each.name() === words[0]);
  if (below !== undefined) return problemOf(below, words.slice(1));
  const { operands, unknown } = command.parseOptions(words);
  const strange = command.name() === 'tag' ? [] : unknown;
  const missing = command.registeredArguments.filter(({ required }, i) => required && operands[i] === undefined);
  return strange[0] ?? missing[0]?.name();
}

it.runIf(has('bash'))('completes commands and flags in bash', () => {
  const complete = (...words: string[]) => {
    const typed = `COMP_WORDS=(image-storage ${words.join(' ')}); COMP_CWORD=${words.length}; _image_storage`;
    const script = `${completionOf('bash')}\n${typed}; echo "\${COMPREPLY[@]}"`;
    return spawnSync('bash', ['--norc', '-c', script], { encoding: 'utf8' }).stdout.trim().split(' ');
  };
  expect(complete('re')).toEqual(['restore']);
  expect(complete('list', '--q')).toEqual(['--query']);
  expect(complete('trash', 'pu')).toEqual(['purge']);
  expect(complete('completion', 'z')).toEqual(['zsh']);
});

requires('zsh, and script of util-linux', has('zsh') && hasScript)('zsh', () => {
  it('completes commands and flags', async () => {
    const home = await mkdtemp(join(tmpdir(), 'image-storage-zsh-'));
    onTestFinished(() => rm(home, { recursive: true }));
    await writeFile(join(home, '.zshrc'), `${completionOf('zsh')}\nPS1='READY '\n`);
    const env = { ...process.env, HOME: home, ZDOTDIR: home, TERM: 'dumb' };
    const child = spawn('script', ['-qec', 'zsh', '/dev/null'], { cwd: home, env });
    onTestFinished(() => void child.kill('SIGKILL'));
    const typed = ['image-storage trash pu\t', '\x15image-storage list --q\t'];
    const shown = ['READY ', 'trash purge ', '--query '];
    let output = '';
    for await (const chunk of child.stdout.setEncoding('utf8')) {
      output += chunk;
      const [next] = shown;
      if (next === undefined || !output.includes(next)) continue;
      shown.shift();
      output = '';
      if (shown.length === 0) break;
      child.stdin.write(typed.shift()!);
    }
    expect(shown).toEqual([]);
  });
});

requires('fish', has('fish'))('fish', () => {
  it('completes and describes commands and flags', () => {
    const complete = (line: string) => {
      const script = `${completionOf('fish')}\ncomplete -C 'image-storage ${line}'`;
      return spawnSync('fish', ['--no-config', '-c', script], { encoding: 'utf8' }).stdout.trim().split('\n');
    };
    expect(complete('op')).toEqual(["open\topen an image in the browser, on the gallery's page of it"]);
    expect(complete('import --mo')).toEqual([expect.stringMatching(/^--move\tremove each file once /)]);
    expect(complete('trash pu')).toEqual(['purge\tdelete images of the trash for good']);
    expect(complete('completion z')).toEqual(['zsh']);
  });
});

function has(shell: string): boolean {
  return spawnSync(shell, ['--version']).status === 0;
}

function completionOf(shell: string): string {
  return completionScript(program, shell as 'bash');
}
