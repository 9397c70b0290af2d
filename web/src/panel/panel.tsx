/** What is known of an image: its prompts, its settings, its file; each can be copied. */
import { X } from 'lucide';
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import type { ImageJson } from '../api/contract.ts';
import type { Row } from '../api/images.ts';
import { urlOf } from '../api/root.ts';
import { CopyButton } from '../app/copy-button.tsx';
import { IconButton } from '../app/icon-button.tsx';
import { quoted } from '../app/search-token.ts';
import { changeSettings } from '../state/settings.ts';
import { EMPTY_VIEW, formatView, type View } from '../state/url.ts';
import { changeView } from '../state/view.ts';
import { texts } from '../texts.ts';
import { detailsOf, readDetails } from './details.ts';
import { JsonText, Workflow } from './json.tsx';

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
      {row === undefined ? (
        <p class="secondary panel-nothing">{texts.panel.nothing}</p>
      ) : (
        <Known key={row.id} row={row} image={detailsOf(row)} />
      )}
    </aside>
  );
}

function Known({ row, image }: { row: Row; image: ImageJson | undefined }) {
  const { panel } = texts;
  const { generation: made = {}, metadata = {} } = image ?? {};
  const parameters = metadata.parametersJson ?? '';
  const seed = made.seed || row.seed;
  return (
    <>
      <Prompt name={panel.prompt} text={metadata.prompt ?? row.prompt} />
      <Prompt name={panel.negative} text={made.negativePrompt ?? ''} />
      <dl class="facts">
        <Fact name={panel.model} value={row.model} change={{ model: row.model }} />
        <Fact name={panel.seed} value={seed} change={{ query: `seed:${seed}` }} />
        <Fact name={panel.steps} value={made.steps?.toString()} />
        <Fact name={panel.cfg} value={made.cfg?.toString()} />
        <Fact name={panel.sampler} value={made.sampler} />
        <Fact name={panel.scheduler} value={made.scheduler} />
        {made.loras?.map((lora) => (
          <Fact key={lora} name={panel.lora} value={lora} change={{ query: `lora:${quoted(lora)}` }} />
        ))}
        <Fact name={panel.category} value={row.category} change={{ category: row.category }} />
        {row.tags.length > 0 && (
          <Line name={panel.tags}>
            {row.tags.map((tag) => (
              <Filter key={tag} text={tag} change={{ tags: [tag] }} />
            ))}
          </Line>
        )}
        <Fact name={panel.size} value={texts.pixels(row.width, row.height)} />
        <Fact name={panel.bytes} value={texts.bytes(row.sizeBytes)} />
        <Fact name={panel.time} value={texts.moment(row.timestamp)} />
        <Fact name={panel.provider} value={row.provider} />
        <Fact name={panel.file} value={row.filename} />
        <Fact name={panel.path} value={image?.path} />
        <Line name={panel.link} copied={pageOf(row)}>
          {panel.pageOf}
        </Line>
      </dl>
      <Workflow parameters={parameters} filename={row.filename} />
      <JsonText name={panel.parameters} text={parameters} />
      <JsonText name={panel.raw} text={image === undefined ? '' : JSON.stringify(image)} />
    </>
  );
}

function pageOf({ filename: image, provider: imageProvider }: Row): string {
  return urlOf(formatView({ ...EMPTY_VIEW, image, imageProvider, isAlone: true }));
}

function Prompt({ name, text }: { name: string; text: string }) {
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

interface FactProps {
  name: string;
  value: string | undefined;
  /** What shows all images that have the same. */
  change?: Partial<View>;
}

function Fact({ name, value, change }: FactProps) {
  if (!value) return null;
  return (
    <Line name={name} copied={value}>
      {change === undefined ? value : <Filter text={value} change={change} />}
    </Line>
  );
}

function Filter({ text, change }: { text: string; change: Partial<View> }) {
  const onClick = () => changeView({ ...change, image: '', imageProvider: '', isAlone: false });
  return (
    <button type="button" class="link" title={texts.panel.allLike(text)} onClick={onClick}>
      {text}
    </button>
  );
}

interface LineProps {
  name: string;
  copied?: string;
  children: ComponentChildren;
}

function Line({ name, copied, children }: LineProps) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <span>{children}</span>
        {copied !== undefined && <CopyButton text={copied} label={texts.panel.copyOf(name)} />}
      </dd>
    </div>
  );
}
