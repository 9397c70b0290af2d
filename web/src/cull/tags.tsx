/** Asks for tags to add and to remove, as the command has them: `keeper -draft`. */
import { signal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { Dialog } from '../app/dialog.tsx';
import { texts } from '../texts.ts';
import { changeTags } from './pin.ts';
import { isForSelection, rowAtHand } from './targets.ts';

const isShown = signal(false);

export function openTags(): void {
  if (isForSelection() || rowAtHand() !== undefined) isShown.value = true;
}

export function Tags() {
  const input = useRef<HTMLInputElement>(null);
  if (!isShown.value) return null;
  const { cull } = texts;
  const close = () => (isShown.value = false);
  const tags = isForSelection() ? [] : (rowAtHand()?.tags ?? []);
  const onSubmit = (event: Event) => {
    event.preventDefault();
    const words = input.current!.value.split(/[\s,]+/).filter((word) => word !== '');
    close();
    if (words.length > 0) void changeTags(changeOf(words));
  };
  return (
    <Dialog title={cull.tag} onClose={close}>
      <form class="cull-form" onSubmit={onSubmit}>
        {tags.length > 0 && (
          <p class="tags">
            {tags.map((tag) => (
              <button
                type="button"
                class="chip"
                key={tag}
                aria-label={cull.removeTag(tag)}
                onClick={() => {
                  close();
                  void changeTags({ removeTags: [tag] });
                }}
              >
                <span>#{tag}</span>×
              </button>
            ))}
          </p>
        )}
        <label for="tags">{cull.tagsHint}</label>
        <input ref={input} id="tags" type="text" autocomplete="off" spellcheck={false} autofocus />
        <footer>
          <button type="submit">{cull.save}</button>
        </footer>
      </form>
    </Dialog>
  );
}

function changeOf(words: readonly string[]): { addTags: string[]; removeTags: string[] } {
  const isRemoved = (word: string) => word.startsWith('-');
  const nameOf = (word: string) => word.replace(/^[-+]?#?/, '');
  return {
    addTags: words.filter((word) => !isRemoved(word)).map(nameOf),
    removeTags: words.filter(isRemoved).map(nameOf),
  };
}
