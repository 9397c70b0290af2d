/** Copies a text, and says so for a moment. */
import { useSignal } from '@preact/signals';
import { Check, Copy } from 'lucide';
import { say } from '../state/notices.ts';
import { texts } from '../texts.ts';
import { copyText } from './clipboard.ts';
import { IconButton } from './icon-button.tsx';

const SHOWN_MS = 1500;

export function CopyButton({ text, label = texts.copy }: { text: string | (() => string); label?: string }) {
  const isCopied = useSignal(false);
  const onClick = async () => {
    if (!(await copyText(typeof text === 'string' ? text : text()))) return;
    isCopied.value = true;
    say(texts.copied);
    setTimeout(() => (isCopied.value = false), SHOWN_MS);
  };
  return (
    <IconButton icon={isCopied.value ? Check : Copy} label={isCopied.value ? texts.copied : label} onClick={onClick} />
  );
}
