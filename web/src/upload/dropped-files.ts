/** The files of a drop, those in folders, too. */

const IMAGE = /^image\//;

/** Whether files are dragged, and no part of a page. */
export function hasFiles({ dataTransfer }: DragEvent): boolean {
  return dataTransfer?.types.includes('Files') ?? false;
}

/** All that were dropped by themselves; of folders, what is named as an image. */
export async function droppedFiles({ items, files }: DataTransfer): Promise<File[]> {
  // Both are empty once the event is over.
  const plain = [...files];
  const folders = [...items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry?.isDirectory);
  const names = new Set(folders.map((folder) => folder!.name));
  const found = await Promise.all(folders.map((folder) => imagesIn(folder!)));
  return [...plain.filter(({ name }) => !names.has(name)), ...found.flat()];
}

async function imagesIn(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) {
    const file = await new Promise<File | undefined>((resolve) =>
      (entry as FileSystemFileEntry).file(resolve, () => resolve(undefined)),
    );
    return file !== undefined && IMAGE.test(file.type) ? [file] : [];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: File[] = [];
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (entries.length === 0) return found;
    for (const each of entries) found.push(...(await imagesIn(each)));
  }
}
