/** The menu: what is needed less often. Further entries are rows of the table. */
import { signal } from '@preact/signals';
import { EllipsisVertical } from 'lucide';
import { type KeyName, labelOf, useKeys } from '../state/keys.ts';
import { tellError } from '../state/notices.ts';
import { describe, lock, may, session } from '../state/session.ts';
import { changeSettings, isBlurred, settings, type Theme } from '../state/settings.ts';
import { changeView, view } from '../state/view.ts';
import { texts } from '../texts.ts';
import { chooseFiles } from '../upload/upload.tsx';
import { DensityChoice } from './density-choice.tsx';
import { isHelpOpen } from './help.tsx';
import { IconButton } from './icon-button.tsx';

interface Entry {
  text: string;
  /** The key that does the same. */
  shortcut?: KeyName;
  /** Undefined: it is no switch. */
  isOn?: boolean;
  run(): void;
}

/** In groups, with a line between them. */
function entries(): Entry[][] {
  const { order } = view.value;
  const orders = (['newest', 'oldest'] as const).map((each) => ({
    text: texts.orders[each],
    isOn: order === each,
    run: () => changeView({ order: each }, 'replace'),
  }));
  const themes = (['system', 'dark', 'light'] satisfies Theme[]).map((theme) => ({
    text: texts.themes[theme],
    isOn: settings.value.theme === theme,
    run: () => changeSettings({ theme }),
  }));
  const { isContained } = settings.value;
  return [
    orders,
    ...(may('write') ? [[{ text: texts.upload.title, run: chooseFiles }]] : []),
    [
      { text: texts.charts.title, run: () => changeView({ isCharts: true }) },
      ...(may('delete')
        ? [
            { text: texts.cleanup.title, run: () => changeView({ isCleanup: true }) },
            { text: texts.trash.title, run: () => changeView({ isTrash: true }) },
          ]
        : []),
    ],
    [
      { text: texts.fit, shortcut: 'fit', isOn: isContained, run: () => changeSettings({ isContained: !isContained }) },
      { text: texts.blur, shortcut: 'blur', isOn: isBlurred.value, run: toggleBlur },
    ],
    themes,
    ...(session.value?.isOurs ? [[{ text: texts.unlock.lock, run: () => void lock().catch(tellError) }]] : []),
    [{ text: texts.keysTitle, shortcut: 'help', run: () => (isHelpOpen.value = true) }],
  ];
}

function toggleBlur(): void {
  isBlurred.value = !isBlurred.value;
}

const isShown = signal(false);

export function Menu() {
  useKeys({ blur: toggleBlur });
  return (
    <>
      <IconButton icon={EllipsisVertical} label={texts.menu} popovertarget="menu" />
      <div id="menu" popover="auto" class="menu" onToggle={onToggle}>
        {isShown.value && (
          <div class="menu-group menu-density">
            <DensityChoice name="menu-density" />
          </div>
        )}
        {isShown.value &&
          entries().map((group, at) => (
            <div class="menu-group" key={at}>
              {group.map((entry) => (
                <MenuItem key={entry.text} {...entry} />
              ))}
            </div>
          ))}
        {isShown.value && session.value?.lacksPreviews && <LacksPreviews />}
      </div>
    </>
  );
}

function onToggle({ newState }: { newState: string }): void {
  isShown.value = newState === 'open';
  // Whether previews are made is known only since the first one was asked for.
  if (isShown.value) void describe();
}

function LacksPreviews() {
  const { before, command, after } = texts.lacksPreviews;
  return (
    <p class="menu-group menu-note">
      {before} <code>{command}</code> {after}
    </p>
  );
}

function MenuItem({ text, shortcut, isOn, run }: Entry) {
  const onClick = () => {
    run();
    document.getElementById('menu')?.hidePopover();
  };
  return (
    <button type="button" aria-pressed={isOn} onClick={onClick}>
      <span>{text}</span>
      {shortcut && <kbd>{labelOf(shortcut)}</kbd>}
    </button>
  );
}
