/** Shows what has happened at the edge of the page, and says it to screen readers. */
import { signal } from '@preact/signals';
import { X } from 'lucide';
import { useLayoutEffect, useMemo } from 'preact/hooks';
import { dismiss, notice, spoken } from '../state/notices.ts';
import { texts } from '../texts.ts';
import { IconButton } from './icon-button.tsx';

/** The page, and the dialogs over it: what lies below an open one is neither seen nor heard, nor can it be clicked. */
const places = signal<readonly symbol[]>([]);

/** Belongs into the page and into each dialog; the last one that came has the word. */
export function Notices() {
  const place = useMemo(() => Symbol(), []);
  useLayoutEffect(() => {
    places.value = [...places.peek(), place];
    return () => {
      places.value = places.peek().filter((each) => each !== place);
    };
  }, []);
  const isOnTop = places.value.at(-1) === place;
  const { text, action, isError = false } = notice.value ?? {};
  return (
    <>
      <div class="visually-hidden" role="status">
        {isOnTop && spoken.value}
      </div>
      {isOnTop && text !== undefined && (
        <div class={isError ? 'notice is-error' : 'notice'}>
          <span>{text}</span>
          {action && (
            <button type="button" onClick={action.run}>
              {action.text}
            </button>
          )}
          <IconButton icon={X} label={texts.close} onClick={dismiss} />
        </div>
      )}
    </>
  );
}
