/** The sections that messages about buckets send their readers to. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { HELP } from '../../src/storage/bucket/help.ts';

it.each(Object.entries(HELP))('%s: %s is there', (_, place) => {
  const [path, anchor] = place.split('#');
  const page = readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
  const anchors = [...page.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );
  expect(anchors).toContain(anchor);
});
