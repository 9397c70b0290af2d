/** A dialog over the page: takes the focus, gives it back, and is closed by Esc, Back of phones or a click beside it. */

import { X } from 'lucide';
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { useKeys } from '../state/keys.ts';
import { texts } from '../texts.ts';
import { IconButton } from './icon-button.tsx';
import { Notices } from './notices.tsx';

interface DialogProps {
  title: string;
  /** As wide as the page has room. */
  isWide?: boolean;
  onClose(): void;
  children: ComponentChildren;
}

export function Dialog({ title, isWide = false, onClose, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current!.showModal(), []);
  useKeys({}, { isModal: true });
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Esc does it by keys
    <dialog
      ref={dialog}
      tabIndex={-1}
      class={isWide ? 'dialog is-wide' : 'dialog'}
      aria-label={title}
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      <div class="dialog-body">
        <header>
          <h2>{title}</h2>
          <IconButton icon={X} label={texts.close} onClick={() => dialog.current!.close()} />
        </header>
        {children}
      </div>
      <Notices />
    </dialog>
  );
}
