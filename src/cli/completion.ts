/** `image-storage completion`: prints the script by which a shell completes commands and flags. */
import { Argument, type Command, type Option } from 'commander';
import { printLine } from './terminal/text.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

export function registerCompletion(program: Command): void {
  program
    .command('completion')
    .description('print the script by which a shell completes commands and flags')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .action((shell: Shell) => printLine(completionScript(program, shell)));
}

/** Returns the script. */
export function completionScript(program: Command, shell: Shell): string {
  return SCRIPTS[shell](visible(program));
}

function visible(program: Command): Command[] {
  return program
    .createHelp()
    .visibleCommands(program)
    .filter((command) => command.name() !== 'help');
}

const SCRIPTS: Record<Shell, (commands: Command[]) => string> = {
  bash: bashScript,
  // zsh runs what is written for bash.
  zsh: (commands) =>
    `autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n${bashScript(commands)}`,
  fish: fishScript,
};

/** Where no flag begins so, the shell completes files. */
function bashScript(commands: Command[]): string {
  const cases = commands.map((command) => `    ${command.name()}) words="${wordsOf(command).join(' ')}" ;;`);
  return `_image_storage() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="${commands.map((command) => command.name()).join(' ')} --help --version"
  else
    case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _image_storage image-storage`;
}

/** Subcommands and what an argument may be, then long flags, those of subcommands, too. */
function wordsOf(command: Command): string[] {
  const flags = flagsOf(command).map(({ long }) => long!);
  return [...command.commands.map((each) => each.name()), ...choicesOf(command), ...new Set(flags)];
}

function choicesOf({ registeredArguments }: Command): readonly string[] {
  return registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
}

function flagsOf(command: Command): Option[] {
  const all = [command, ...command.commands].flatMap((each) => each.createHelp().visibleOptions(each));
  return all.filter(({ long }) => long !== undefined);
}

function fishScript(commands: Command[]): string {
  const named = commands.map((command) => {
    return `complete -c image-storage -n __fish_use_subcommand -f -a ${command.name()} -d ${quoted(command.description())}`;
  });
  const below = commands.flatMap((command) => {
    const line = `complete -c image-storage -n '__fish_seen_subcommand_from ${command.name()}'`;
    const described = command.commands.map((each) => `${each.name()} -d ${quoted(each.description())}`);
    return [
      ...[...described, ...choicesOf(command)].map((word) => `${line} -f -a ${word}`),
      ...flagsOf(command).map(({ long, description }) => `${line} -l ${long!.slice(2)} -d ${quoted(description)}`),
    ];
  });
  return [...named, ...below].join('\n');
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
