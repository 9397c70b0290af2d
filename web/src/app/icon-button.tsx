/** A button that is a symbol alone, and says its name to who points at it or does not see it. */
import type { IconNode } from 'lucide';
import type { ComponentProps } from 'preact';
import { Icon } from './icon.tsx';

type Props = Omit<ComponentProps<'button'>, 'icon'> & { icon: IconNode; label: string };

export function IconButton({ icon, label, ...props }: Props) {
  return (
    <button type="button" {...props} class="icon-button" aria-label={label} title={label}>
      <Icon of={icon} />
    </button>
  );
}
