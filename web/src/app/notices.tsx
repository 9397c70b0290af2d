/** Shows what has happened at the edge of the page, and says it to screen readers. */
import { X } from 'lucide';
import { dismiss, notice, spoken } from '../state/notices.ts';
import { texts } from '../texts.ts';
import { IconButton } from './icon-button.tsx';

export function Notices() {
  const { text, action, isError = false } = notice.value ?? {};
  return (
    <>
      <div class="visually-hidden" role="status">
        {spoken.value}
      </div>
      {text !== undefined && (
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
