/** That JSON is read as JSON.parse reads it, in slices, with numbers as they were written. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type ParsedJson, parseJson } from '../../src/storage/embedded/json.ts';
import { full, seed } from '../support/scale.ts';

const fragment = fc.constantFrom(
  ...['{', '}', '[', ']', ',', ':', '"a"', '"b\\n"', '"\\u00e9"', '"\\x"', '"\t"', '""', '"', '\\', ' ', '\n', 'é'],
  ...['1', '-0', '01', '1.', '1e5', '-', '0.5E-3', 'true', 'false', 'null', 'tru', 'nulll'],
);

it('agrees with JSON.parse on what is JSON, and of what', () => {
  const text = fc.oneof(
    fc.json(),
    fc.array(fragment, { maxLength: 9 }).map((fragments) => fragments.join('')),
  );
  const property = fc.property(text, (json) => {
    const [ours, theirs] = [outcomeOf(() => JSON.stringify(parsed(json).value)), outcomeOf(() => exact(json))];
    expect(ours).toEqual(theirs);
  });
  fc.assert(property, { seed, numRuns: full ? 100_000 : 5000 });
});

it('keeps numbers as they were written, and replaces what Python writes for others', () => {
  const { value, json } = parsed('{"a":1.0,"b":[NaN,18446744073709551615,-Infinity],"c":"NaN Infinity"}');
  expect(json).toBe('{"a":1.0,"b":[null,18446744073709551615,null],"c":"NaN Infinity"}');
  expect(JSON.stringify(value)).toBe(json);
});

it('pauses after a few thousand values, and ends at the budget', () => {
  const text = `[${Array(40_000).fill('1').join(',')}]`;
  const steps = parseJson(text, { values: 50_000 });
  let pauses = 0;
  while (!steps.next().done) pauses += 1;
  expect(pauses).toBeGreaterThanOrEqual(7);
  expect(() => parsed(text, 40_000)).toThrow(SyntaxError);
});

it.each(['[', '{"a":'])('ends where %s is nested too deep', (begin) => {
  expect(() => parsed(begin.repeat(100_000))).toThrow(/too deep/);
});

function parsed(text: string, values = 1_000_000): ParsedJson {
  const steps = parseJson(text, { values });
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** What JSON.parse reads, with numbers as they were written. */
/** Without fields named `__proto__`, which an assignment would read as something else. */
function exact(text: string): string {
  const reviver = (key: string, value: unknown, { source }: { source?: string }) => {
    if (key === '__proto__') return undefined;
    return typeof value === 'number' ? JSON.rawJSON(source!) : value;
  };
  return JSON.stringify(JSON.parse(text, reviver));
}

function outcomeOf(work: () => string): string {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return 'no JSON';
  }
}
