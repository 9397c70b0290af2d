/** The search field: searches once typing pauses, and completes names of models, tags, LoRAs and categories. */
import { batch, useSignal, useSignalEffect } from '@preact/signals';
import { Search as SearchIcon } from 'lucide';
import { useRef } from 'preact/hooks';
import { useKeys } from '../state/keys.ts';
import { changeView, view } from '../state/view.ts';
import { texts } from '../texts.ts';
import { type Option, optionsFor } from './completion.ts';
import { Icon } from './icon.tsx';
import { replaceToken, type Token, tokenAt, withoutUnfinished } from './search-token.ts';

const PAUSE_MS = 150;

export function Search() {
  const input = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const asking = useRef<AbortController>(undefined);
  const token = useRef<Token>(undefined);
  const options = useSignal<Option[]>([]);
  /** -1: none. */
  const active = useSignal(-1);
  const isExpanded = options.value.length > 0;

  /** What the field has made of the view: no reason to change what is typed. */
  const own = useRef(view.peek().query);
  const search = (query: string, step: 'push' | 'replace') => {
    clearTimeout(timer.current);
    own.current = query;
    if (query !== view.value.query) changeView({ query }, step);
  };
  const close = () => {
    asking.current?.abort();
    batch(() => {
      options.value = [];
      active.value = -1;
    });
  };
  const complete = async () => {
    asking.current?.abort();
    const asked = new AbortController();
    asking.current = asked;
    const { value, selectionEnd } = input.current!;
    token.current = tokenAt(value, selectionEnd ?? value.length);
    if (token.current === undefined && value.trim() !== '') return close();
    // Without an answer there is nothing to offer; what stands in its way is told where the images are.
    const found = await optionsFor(token.current, asked.signal).catch(() => []);
    if (asked.signal.aborted || document.activeElement !== input.current) return;
    batch(() => {
      options.value = found;
      active.value = -1;
    });
  };
  const choose = ({ change, term = '' }: Option) => {
    const text = input.current!.value;
    const query = token.current === undefined ? text : replaceToken(text, token.current, term);
    clearTimeout(timer.current);
    input.current!.value = query;
    own.current = query.trim();
    close();
    changeView({ ...change, query: own.current });
  };

  useSignalEffect(() => {
    const { query } = view.value;
    if (query === own.current) return;
    own.current = query;
    input.current!.value = query;
  });
  useKeys({
    search: () => {
      input.current!.focus();
      input.current!.select();
    },
  });

  const onInput = () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      search(withoutUnfinished(input.current!.value), 'replace');
      void complete();
    }, PAUSE_MS);
  };
  const onSubmit = (event: Event) => {
    event.preventDefault();
    const option = options.value[active.value];
    if (option !== undefined) return choose(option);
    close();
    search(input.current!.value.trim(), 'push');
    input.current!.blur();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const { length } = options.value;
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      if (length === 0) return void complete();
      const by = event.key === 'ArrowDown' ? 1 : -1;
      // Past either end lies what was typed.
      active.value = ((active.value + 1 + by + length + 1) % (length + 1)) - 1;
    } else if (event.key === 'Escape') {
      event.preventDefault();
      if (length > 0) close();
      else input.current!.blur();
    }
  };
  const combobox = {
    role: 'combobox',
    // The types of elements know the role with a list of the browser's only.
    list: undefined,
    'aria-autocomplete': 'list',
    'aria-expanded': isExpanded,
    'aria-controls': 'completions',
    'aria-activedescendant': active.value < 0 ? undefined : `completion-${active.value}`,
  } as const;
  return (
    <search class="search">
      <form onSubmit={onSubmit}>
        <Icon of={SearchIcon} />
        <input
          ref={input}
          type="search"
          defaultValue={own.current}
          {...combobox}
          aria-label={texts.search}
          placeholder={texts.searchPlaceholder}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          enterkeyhint="search"
          onInput={onInput}
          onFocus={() => void complete()}
          onBlur={close}
          onKeyDown={onKeyDown}
        />
      </form>
      <div id="completions" role="listbox" class="completions" aria-label={texts.completion.title} hidden={!isExpanded}>
        {options.value.map((option, at) => (
          <Completion
            key={option.id}
            option={option}
            at={at}
            isActive={at === active.value}
            onChoose={() => choose(option)}
          />
        ))}
      </div>
    </search>
  );
}

interface CompletionProps {
  option: Option;
  at: number;
  isActive: boolean;
  onChoose(): void;
}

/** The field keeps the focus. */
function Completion({ option: { text, kind, count }, at, isActive, onChoose }: CompletionProps) {
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the field has the keys
    <div
      id={`completion-${at}`}
      role="option"
      tabIndex={-1}
      aria-selected={isActive}
      onPointerDown={(event) => event.preventDefault()}
      onClick={onChoose}
    >
      <span>{text}</span>
      <span class="secondary">{count === undefined ? kind : texts.completion.counted(kind, count)}</span>
    </div>
  );
}
