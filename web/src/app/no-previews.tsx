/** Says how previews are switched on, where the daemon makes none. */
import { X } from 'lucide';
import { lacksPreviews } from '../state/previews.ts';
import { changeSettings, settings } from '../state/settings.ts';
import { texts } from '../texts.ts';
import { CopyButton } from './copy-button.tsx';
import { IconButton } from './icon-button.tsx';

export function NoPreviews() {
  if (!lacksPreviews.value || settings.value.doesWithoutPreviews) return null;
  const { noPreviews } = texts;
  return (
    <div class="hint-line">
      <p>
        {noPreviews.text} <code>{noPreviews.command}</code>
      </p>
      <CopyButton text={noPreviews.command} />
      <IconButton icon={X} label={texts.close} onClick={() => changeSettings({ doesWithoutPreviews: true })} />
    </div>
  );
}
