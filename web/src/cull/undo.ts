/** Takes deletes back: the last one, or all that the line on the screen tells of. */
import { type ImageName, MAX_NAMES, restoreImages } from '../api/changes.ts';
import { reload } from '../state/gallery.ts';
import { gone, unmarkGone } from '../state/gone.ts';
import { expectChange } from '../state/live.ts';
import { dismiss, type Notice, notice, tell, tellError } from '../state/notices.ts';
import { texts } from '../texts.ts';

const MAX_DELETIONS = 1000;

/** A delete, from its beginning on. */
export interface Deletion {
  /** What it has put into the trash, and nobody here has taken back. */
  images: ImageName[];
  /** False: something of it went for good. */
  isUndoable: boolean;
  /** Never rejects. */
  ended: Promise<void>;
}

/** In the order in which they began, the last one last. */
let deletions: Deletion[] = [];
/** Of these, what the line on the screen is about. */
let told: Deletion[] = [];
let line: Notice | undefined;

/** Does what deletes, which notes in the deletion what has gone. Its errors are told. */
export async function begin(work: (deletion: Deletion) => Promise<void>): Promise<void> {
  const deletion: Deletion = { images: [], isUndoable: true, ended: Promise.resolve() };
  deletions = [...deletions, deletion].slice(-MAX_DELETIONS);
  deletion.ended = work(deletion).catch(tellError);
  await deletion.ended;
  if (!deletion.isUndoable || deletion.images.length === 0) deletions = deletions.filter((each) => each !== deletion);
}

/** Tells of a delete, together with those before it that the line on the screen tells of. */
export function tellDeleted(deletion: Deletion, textOf: (count: number) => string): void {
  if (line === undefined || notice.peek() !== line) told = [];
  if (deletion.isUndoable) told.push(deletion);
  const images = deletion.isUndoable ? imagesOf(told) : deletion.images;
  const action = { text: texts.cull.undo, run: () => void undoTold() };
  line = { text: textOf(images.length), ...(deletion.isUndoable && images.length > 0 && { action }) };
  tell(line);
}

/** Takes the last delete back, also one that is still under way. */
export async function undoLast(): Promise<void> {
  const last = deletions.at(-1);
  if (last !== undefined) await takeBack([last]);
}

async function undoTold(): Promise<void> {
  await takeBack(told);
}

async function takeBack(chosen: readonly Deletion[]): Promise<void> {
  deletions = deletions.filter((each) => !chosen.includes(each));
  told = told.filter((each) => !chosen.includes(each));
  await Promise.all(chosen.map(({ ended }) => ended));
  const images = imagesOf(chosen);
  if (images.length === 0) return;
  const back = new Set<string>();
  try {
    for await (const ids of restoreImages(images)) {
      for (const id of ids) back.add(id);
      if (images.length > MAX_NAMES) tell({ text: texts.cull.restoring(back.size, images.length) });
    }
    dismiss();
    const missing = images.length - back.size;
    tell({
      text: missing === 0 ? texts.cull.restored(back.size) : texts.cull.notRestored(missing),
      isError: missing > 0,
    });
    for (const each of chosen) each.images = [];
  } catch (error) {
    for (const each of chosen) each.images = each.images.filter(({ id }) => !back.has(id));
    deletions = [...deletions, ...chosen.filter((each) => each.images.length > 0)];
    tellError(error);
  }
  await showAgain(back);
}

/** Where they kept their places, they stand there; in another view they may belong anywhere. */
async function showAgain(ids: ReadonlySet<string>): Promise<void> {
  if (ids.size === 0) return;
  const isPlaced = [...ids].every((id) => gone.peek().has(id));
  if (!isPlaced) return reload();
  expectChange(ids.size);
  unmarkGone(ids);
}

function imagesOf(chosen: readonly Deletion[]): ImageName[] {
  return chosen.flatMap(({ images }) => images);
}
