/** Queries over the images of many-images.ts, different for each number. */
import { negativeOf, promptOf } from '../test/support/many-images.ts';

/** Words of the prompts of two images. */
export function pairOf(pair: number, images: number): string {
  const [a, b] = [7919, 104_729].map((step) => promptOf((pair * step) % images).split(' '));
  return `${a![3]} ${b![5]}`;
}

/** Of all kinds that the grammar has. */
export function mixedQuery(number: number, images: number): string {
  const [a, b] = [7919, 104_729].map((step) => wordsOf((number * step) % images)) as [string[], string[]];
  const forms = [
    `${a[3]} ${b[5]}`,
    `"${a[3]} ${a[4]}"`,
    `${a[3]} -${b[5]}`,
    `${a[3]} OR ${b[5]}`,
    `-${a[3]}`,
    `seed:${(number * 7919) % images}`,
    `model:sdxl ${a[3]}`,
    `negative:${negativeOf(number).split(' ')[1]} ${a[2]}`,
    `after:2026-01-0${1 + (number % 9)} ${a[3]}`,
    `${a[3]!.slice(0, 3)} steps:>=20 size:<=10`,
  ];
  return forms[number % forms.length]!;
}

export function wordsOf(number: number): string[] {
  return promptOf(number).split(' ');
}
