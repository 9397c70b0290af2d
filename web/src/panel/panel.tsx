/** What is known of an image: its prompts, its settings, its file; each can be copied. */
import { X } from 'lucide';
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import type { ImageJson } from '../api/contract.ts';
import type { Row } from '../api/images.ts';
import { CopyButton } from '../app/copy-button.tsx';
import { IconButton } from '../app/icon-button.tsx';
import { changeSettings } from '../state/settings.ts';
import { changeView } from '../state/view.ts';
import { texts } from '../texts.ts';
import { detailsOf, readDetails } from './details.ts';

export function Panel({ row }: { row: Row | undefined }) {
  useEffect(() => {
    if (row === undefined) return;
    const abort = new AbortController();
    // The row has the most of it; what stands in its way is told where the images are.
    readDetails(row, abort.signal).catch(() => undefined);
    return () => abort.abort();
  }, [row?.id]);
  return (
    <aside class="panel" aria-label={texts.panel.title}>
      <header>
        <h2>{texts.panel.title}</h2>
        <IconButton icon={X} label={texts.close} onClick={() => changeSettings({ isPanelOpen: false })} />
      </header>
      {row === undefined ? <p class="secondary">{texts.panel.nothing}</p> : <Known row={row} image={detailsOf(row)} />}
    </aside>
  );
}

function Known({ row, image }: { row: Row; image: ImageJson | undefined }) {
  const { panel } = texts;
  const { generation: made = {}, metadata = {} } = image ?? {};
  const facts: [name: string, value: string | undefined][] = [
    [panel.seed, made.seed || row.seed],
    [panel.steps, made.steps?.toString()],
    [panel.cfg, made.cfg?.toString()],
    [panel.sampler, made.sampler],
    [panel.scheduler, made.scheduler],
    [panel.loras, made.loras?.join(', ')],
    [panel.size, `${texts.pixels(row.width, row.height)}, ${texts.bytes(row.sizeBytes)}`],
    [panel.time, texts.moment(row.timestamp)],
    [panel.file, row.filename],
  ];
  return (
    <>
      <Text name={panel.prompt} text={metadata.prompt ?? row.prompt} />
      <Text name={panel.negative} text={made.negativePrompt ?? ''} />
      <dl class="facts">
        {row.model !== '' && (
          <Fact name={panel.model} copied={row.model}>
            <button
              type="button"
              class="link"
              onClick={() => changeView({ model: row.model, image: '', isAlone: false })}
            >
              {row.model}
            </button>
          </Fact>
        )}
        {facts.map(
          ([name, value]) =>
            value && (
              <Fact key={name} name={name} copied={value}>
                {value}
              </Fact>
            ),
        )}
      </dl>
      <Parameters text={metadata.parametersJson ?? ''} />
    </>
  );
}

function Text({ name, text }: { name: string; text: string }) {
  if (text === '') return null;
  return (
    <section class="panel-text">
      <h3>
        {name}
        <CopyButton text={text} label={texts.panel.copyOf(name)} />
      </h3>
      <p class="mono">{text}</p>
    </section>
  );
}

function Fact({ name, copied, children }: { name: string; copied: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <span>{children}</span>
        <CopyButton text={copied} label={texts.panel.copyOf(name)} />
      </dd>
    </div>
  );
}

function Parameters({ text }: { text: string }) {
  if (text === '') return null;
  return (
    <details class="panel-text">
      <summary>{texts.panel.parameters}</summary>
      <CopyButton text={text} label={texts.panel.copyOf(texts.panel.parameters)} />
      <pre class="mono">{indented(text)}</pre>
    </details>
  );
}

/** Numbers stay as they are written: a seed of 64 bits would be rounded by JSON.parse. */
function indented(json: string): string {
  return json.length > 200_000
    ? json
    : json.replace(/("(?:[^"\\]|\\.)*")|([{[,])/g, (all, text) => (text ? all : `${all}\n`));
}
