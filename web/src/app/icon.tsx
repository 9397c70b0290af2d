/** A symbol, drawn from lucide's paths. */
import type { IconNode } from 'lucide';
import { createElement } from 'preact';

/** Without a label it only adds to a text beside it. */
export function Icon({ of, label }: { of: IconNode; label?: string }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" role="img" aria-label={label} aria-hidden={label === undefined}>
      {of.map(([tag, attributes], at) => createElement(tag, { key: at, ...attributes } as object))}
    </svg>
  );
}
