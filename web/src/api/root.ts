/** Where the daemon's routes are, whatever path a proxy has put them under: a folder above the page's scripts. */
const here = import.meta.url;

/** Ends in `/`. */
export const ROOT = new URL('..', here);

/** `path` has no `/` at its beginning. */
export function urlOf(path: string, parameters?: URLSearchParams): string {
  const url = new URL(path, ROOT);
  if (parameters !== undefined) url.search = parameters.toString();
  return url.href;
}
