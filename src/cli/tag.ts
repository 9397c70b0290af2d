/** `image-storage tag`: adds and removes tags, and sets the category. */
import { type Command, InvalidArgumentError } from 'commander';
import type { Image } from '../client.ts';
import { withAddress, withClient } from './shared/connection.ts';
import { type UpdateFlags, updateAll } from './shared/update.ts';
import { displayText } from './terminal/text.ts';

interface TagFlags extends UpdateFlags {
  category?: string;
}

export function registerTag(program: Command): void {
  const command = program
    .command('tag')
    .description('add and remove tags: image-storage tag FILENAME… +new -old')
    .argument(
      '<filenames-and-tags...>',
      'filenames, +TAG to add and -TAG to remove; behind -- a tag may be named as an option',
    )
    .option('--category <name>', 'set the category; an empty one removes it')
    .option('--provider <name>')
    .option('--json', 'print one JSON object a line')
    // A tag to remove looks like an option; -h is one, too.
    .allowUnknownOption()
    .helpOption('--help', 'display help for command')
    .action((words: string[], { category, ...flags }: TagFlags) => {
      const { filenames, addTags, removeTags } = sorted(words);
      if (filenames.length === 0) throw new InvalidArgumentError('name at least one image');
      if (addTags.length + removeTags.length === 0 && category === undefined) {
        throw new InvalidArgumentError('name a tag: +TAG adds it, -TAG removes it');
      }
      const changes = { addTags, removeTags, ...(category !== undefined && { category }) };
      return withClient(flags, (session) => updateAll(session, filenames, changes, flags, lineOf));
    });
  withAddress(command);
}

/** No filename begins with a sign. */
function sorted(words: readonly string[]): { filenames: string[]; addTags: string[]; removeTags: string[] } {
  const tags = (sign: string) =>
    words.filter((word) => word.startsWith(sign) && word !== '--').map((word) => word.slice(1));
  const [addTags, removeTags] = [tags('+'), tags('-')];
  if ([...addTags, ...removeTags].includes('')) throw new InvalidArgumentError('a tag must not be empty');
  return { filenames: words.filter((word) => !/^[+-]/.test(word)), addTags, removeTags };
}

function lineOf({ filename, metadata: { tags, category } }: Image): string {
  const labels = [...tags, ...(category === '' ? [] : [`category ${category}`])];
  return `${displayText(filename)}: ${labels.length === 0 ? 'no tags' : labels.map(displayText).join(', ')}`;
}
