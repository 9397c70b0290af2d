/** The search field: what is typed is searched for once the typing pauses. */
import { useSignalEffect } from '@preact/signals';
import { Search as SearchIcon } from 'lucide';
import { useRef } from 'preact/hooks';
import { useKeys } from '../state/keys.ts';
import { changeView, view } from '../state/view.ts';
import { texts } from '../texts.ts';
import { Icon } from './icon.tsx';

const PAUSE_MS = 150;

export function Search() {
  const input = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const search = (step: 'push' | 'replace') => {
    clearTimeout(timer.current);
    const query = input.current!.value;
    if (query !== view.value.query) changeView({ query }, step);
  };
  useSignalEffect(() => {
    const { query } = view.value;
    if (document.activeElement !== input.current) input.current!.value = query;
  });
  useKeys({
    search: () => {
      input.current!.focus();
      input.current!.select();
    },
  });
  const onSubmit = (event: Event) => {
    event.preventDefault();
    search('push');
    input.current!.blur();
  };
  return (
    <search class="search">
      <form onSubmit={onSubmit}>
        <Icon of={SearchIcon} />
        <input
          ref={input}
          type="search"
          aria-label={texts.search}
          placeholder={texts.searchPlaceholder}
          autocomplete="off"
          spellcheck={false}
          enterkeyhint="search"
          onInput={() => {
            clearTimeout(timer.current);
            timer.current = setTimeout(() => search('replace'), PAUSE_MS);
          }}
          onKeyDown={(event) => {
            if (event.key === 'Escape') input.current!.blur();
          }}
        />
      </form>
    </search>
  );
}
