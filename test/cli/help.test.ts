/** The help of the command line: groups, and examples that can be run as they are. */
import { spawnSync } from 'node:child_process';
import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { completionScript } from '../../src/cli/completion.ts';
import { EXAMPLES } from '../../src/cli/shared/examples.ts';
import { createProgram } from '../../src/main.ts';

const program = createProgram();
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

it.runIf(spawnSync('bash', ['--version']).status === 0)('completes commands and flags in bash', () => {
  const complete = (...words: string[]) => {
    const typed = `COMP_WORDS=(image-storage ${words.join(' ')}); COMP_CWORD=${words.length}; _image_storage`;
    const script = `${completionOf('bash')}\n${typed}; echo "\${COMPREPLY[@]}"`;
    return spawnSync('bash', ['--norc', '-c', script], { encoding: 'utf8' }).stdout.trim().split(' ');
  };
  expect(complete('re')).toEqual(['restore']);
  expect(complete('list', '--q')).toEqual(['--query']);
  expect(complete('trash', 'pu')).toEqual(['purge']);
});

it('describes commands and flags to fish', () => {
  const lines = completionOf('fish').split('\n');
  expect(lines).toContainEqual(
    expect.stringMatching(/^complete -c image-storage -n __fish_use_subcommand -f -a open -d '/),
  );
  expect(lines).toContainEqual(expect.stringMatching(/__fish_seen_subcommand_from import' -l move -d '/));
});

function completionOf(shell: string): string {
  return completionScript(createProgram(), shell as 'bash');
}
