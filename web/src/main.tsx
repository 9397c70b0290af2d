/** Starts the page. */
import './style/index.css';
import { render } from 'preact';
import { App, Lightbox } from './app/app.tsx';
import { startKeptFocus } from './grid/kept-focus.ts';
import { startGallery } from './state/gallery.ts';
import { startGone } from './state/gone.ts';
import { startKeys } from './state/keys.ts';
import { startLive } from './state/live.ts';
import { startOpen } from './state/open.ts';
import { startSelection } from './state/selection.ts';
import { startSession } from './state/session.ts';
import { startSettings } from './state/settings.ts';
import { startTitle } from './state/title.ts';
import { startDragOut } from './upload/drag-out.ts';

const IDLE_MS = 1500;

startSettings();
startKeys();
// Named from where the page began, and looked for anew wherever its address leads.
for (const icon of document.querySelectorAll<HTMLLinkElement>('link[rel=icon]')) icon.setAttribute('href', icon.href);
const root = document.getElementById('app')!;
render(<App />, root);
startKeptFocus(root);
await startSession();
startGallery();
startOpen();
startTitle();
startSelection();
startGone();
startLive();
startDragOut();
setTimeout(Lightbox.preload, IDLE_MS);
