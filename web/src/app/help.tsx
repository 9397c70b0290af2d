/** All keys, by where they work. */
import { signal } from '@preact/signals';
import { KEYS, type KeyArea, type KeyName, labelOf, useKeys } from '../state/keys.ts';
import { texts } from '../texts.ts';
import { Dialog } from './dialog.tsx';

export const isHelpOpen = signal(false);

export function Help() {
  useKeys({ help: () => (isHelpOpen.value = true) });
  if (!isHelpOpen.value) return null;
  const areas = Object.entries(texts.keyAreas) as [KeyArea, string][];
  return (
    <Dialog title={texts.keysTitle} onClose={() => (isHelpOpen.value = false)}>
      <div class="help">
        {areas.map(([area, title]) => (
          <section key={area}>
            <h3>{title}</h3>
            <dl>
              {(Object.keys(KEYS) as KeyName[])
                .filter((name) => KEYS[name].area === area)
                .map((name) => (
                  <div key={name}>
                    <dt>
                      <kbd>{labelOf(name)}</kbd>
                    </dt>
                    <dd>{texts.keys[name]}</dd>
                  </div>
                ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
