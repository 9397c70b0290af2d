/** Asks for a token where the daemon wants one. */
import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { session, tokenProblem, unlock } from '../state/session.ts';
import { texts } from '../texts.ts';

export function Unlock() {
  const input = useRef<HTMLInputElement>(null);
  const isAsking = useSignal(false);
  const onSubmit = async (event: Event) => {
    event.preventDefault();
    const token = input.current!.value.trim();
    if (token === '') return;
    isAsking.value = true;
    await unlock(token);
    isAsking.value = false;
  };
  const problem = tokenProblem.value;
  return (
    <form class="unlock" onSubmit={onSubmit}>
      <input type="text" name="username" autocomplete="username" value={texts.title} readOnly hidden />
      <label for="token">{texts.unlock.title}</label>
      <div class="unlock-line">
        <input
          ref={input}
          id="token"
          type="password"
          autocomplete="current-password"
          spellcheck={false}
          placeholder="is_…"
          aria-invalid={problem !== undefined}
          aria-describedby="token-problem"
        />
        <button type="submit" disabled={isAsking.value}>
          {texts.unlock.open}
        </button>
      </div>
      <p id="token-problem" class="unlock-problem" role="alert">
        {problem && textOf(problem)}
      </p>
      <p class="unlock-hint">
        {texts.unlock.hint} <code>{texts.unlock.command(session.value?.command ?? 'image-storage')}</code>
      </p>
    </form>
  );
}

function textOf({ reason, isOffline, message }: { reason: string; isOffline: boolean; message: string }): string {
  const { problems } = texts;
  if (isOffline) return problems.offline;
  if (reason === 'TOKEN_UNKNOWN') return texts.unlock.unknown;
  return reason === 'TOKEN_EXPIRED' ? texts.unlock.expired : problems.other(message);
}
