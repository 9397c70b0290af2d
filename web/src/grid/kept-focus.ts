/** Keeps the focus in the page where what had it goes: who uses keys alone would begin at the top again. */

/** Begins to follow it below `root`. */
export function startKeptFocus(root: HTMLElement): void {
  let last: Element | undefined;
  addEventListener('focusin', ({ target }) => {
    last = target instanceof Element ? target : undefined;
  });
  // A click on nothing takes the focus away on purpose; one on something gives it there next.
  addEventListener('pointerdown', () => {
    last = undefined;
  });
  const observer = new MutationObserver(() => {
    if (last === undefined || last.isConnected || document.activeElement !== document.body) return;
    const dialogs = document.querySelectorAll<HTMLElement>('dialog:modal');
    const place = [...dialogs].at(-1) ?? root.querySelector<HTMLElement>('[data-index][tabindex="0"]');
    // Nothing is to move; it may come with a later change.
    place?.focus({ preventScroll: true });
  });
  observer.observe(root, { childList: true, subtree: true });
}
