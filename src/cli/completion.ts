/** `image-storage completion`: prints the script by which a shell completes commands and flags. */
import { Argument, type Command } from 'commander';
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

/** Subcommands, then long flags. */
function wordsOf(command: Command): string[] {
  const flags = command
    .createHelp()
    .visibleOptions(command)
    .flatMap(({ long }) => long ?? []);
  return [...command.commands.map((each) => each.name()), ...flags];
}

function fishScript(commands: Command[]): string {
  const named = commands.map((command) => {
    return `complete -c image-storage -n __fish_use_subcommand -f -a ${command.name()} -d ${quoted(command.description())}`;
  });
  const flags = commands.flatMap((command) => {
    const condition = `-n '__fish_seen_subcommand_from ${command.name()}'`;
    const options = command.createHelp().visibleOptions(command);
    const shown = options.filter(({ long }) => long !== undefined);
    return shown.map(({ long, description }) => {
      return `complete -c image-storage ${condition} -l ${long!.slice(2)} -d ${quoted(description)}`;
    });
  });
  return [...named, ...flags].join('\n');
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
