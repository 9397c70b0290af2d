/** The parts of an image's metadata that are JSON: shown when they are opened, copied and saved as they are written. */
import { useSignal } from '@preact/signals';
import { CopyButton } from '../app/copy-button.tsx';
import { texts } from '../texts.ts';
import { fieldText, indented } from './json-text.ts';

/** Beyond it a browser takes long to lay the lines out; it can still be copied. */
const MAX_SHOWN = 200_000;

export function JsonText({ name, text }: { name: string; text: string }) {
  const isOpen = useSignal(false);
  if (text === '') return null;
  return (
    <details class="panel-json" onToggle={({ currentTarget }) => (isOpen.value = currentTarget.open)}>
      <summary>{name}</summary>
      {isOpen.value && (
        <>
          <CopyButton text={text} label={texts.panel.copyOf(name)} />
          <pre class="mono">{text.length > MAX_SHOWN ? texts.panel.tooLong : indented(text)}</pre>
        </>
      )}
    </details>
  );
}

/** ComfyUI's graph, drawn or as it ran; it opens both. */
export function Workflow({ parameters, filename }: { parameters: string; filename: string }) {
  const workflow = fieldText(parameters, 'workflow') ?? fieldText(parameters, 'comfyui');
  if (workflow === undefined) return null;
  const { panel } = texts;
  const save = () => {
    const url = URL.createObjectURL(new Blob([workflow], { type: 'application/json' }));
    const link = Object.assign(document.createElement('a'), { href: url, download: `${filename}.workflow.json` });
    link.click();
    // The browser has begun to read it when the click returns.
    URL.revokeObjectURL(url);
  };
  return (
    <section class="panel-workflow">
      <h3>{panel.workflow}</h3>
      <button type="button" onClick={save}>
        {panel.download}
      </button>
      <CopyButton text={workflow} label={panel.copyOf(panel.workflow)} />
    </section>
  );
}
