/** What narrows the view, each with a button that takes it away; nothing where nothing does. */
import { X } from 'lucide';
import type { View } from '../state/url.ts';
import { changeView, clearFilters, view } from '../state/view.ts';
import { texts } from '../texts.ts';
import { Icon } from './icon.tsx';

interface Chip {
  text: string;
  without: Partial<View>;
}

export function Chips() {
  const chips = chipsOf(view.value);
  if (chips.length === 0) return null;
  return (
    <nav class="chips" aria-label={texts.chips.title}>
      {chips.map(({ text, without }) => (
        <button
          type="button"
          class="chip"
          key={text}
          title={texts.chips.remove(text)}
          aria-label={texts.chips.remove(text)}
          onClick={() => changeView(without)}
        >
          <span>{text}</span>
          <Icon of={X} />
        </button>
      ))}
      {chips.length > 1 && (
        <button type="button" class="chip-clear" onClick={clearFilters}>
          {texts.clear}
        </button>
      )}
    </nav>
  );
}

function chipsOf({ provider, model, category, tags, pinned, since, until }: View): Chip[] {
  const { chips } = texts;
  const found: (Chip | false)[] = [
    provider !== '' && { text: chips.provider(provider), without: { provider: '' } },
    model !== '' && { text: chips.model(model), without: { model: '' } },
    category !== '' && { text: chips.category(category), without: { category: '' } },
    ...tags.map((tag) => ({ text: chips.tag(tag), without: { tags: tags.filter((other) => other !== tag) } })),
    pinned !== undefined && { text: pinned ? chips.pinned : chips.unpinned, without: { pinned: undefined } },
    since + until !== '' && { text: chips.days(since, until), without: { since: '', until: '' } },
  ];
  return found.filter((chip) => chip !== false);
}
