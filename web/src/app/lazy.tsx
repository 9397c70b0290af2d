/** Parts of the page that load when they are first needed. */
import { useSignal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect } from 'preact/hooks';

export interface LazyPart<Props> {
  (props: Props): preact.JSX.Element | null;
  /** Loads it ahead of its use. */
  preload(): void;
}

/** Shows nothing until it is there. `load` gives the component of the module. */
export function lazy<Props extends object>(load: () => Promise<ComponentType<Props>>): LazyPart<Props> {
  let Loaded: ComponentType<Props> | undefined;
  const ready = async () => {
    Loaded ??= await load();
  };
  const Part = (props: Props) => {
    const version = useSignal(0);
    version.value;
    useEffect(() => {
      if (Loaded === undefined) void ready().then(() => (version.value += 1));
    }, []);
    return Loaded === undefined ? null : <Loaded {...props} />;
  };
  return Object.assign(Part, { preload: () => void ready().catch(() => undefined) });
}
