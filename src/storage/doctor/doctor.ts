/** Examines providers in turn. */
import type { Check } from './check.ts';

export interface ProviderCheck extends Check {
  provider: string;
}

/** A provider, and the checks that it has what a daemon needs. */
export interface ExaminedProvider {
  name: string;
  examine(): AsyncIterable<Check>;
}

/** Yields the checks as they end. Removes everything that they write, also when the caller stops early. */
export async function* examineProviders(providers: Iterable<ExaminedProvider>): AsyncGenerator<ProviderCheck> {
  for (const { name, examine } of providers) {
    for await (const check of examine()) yield { provider: name, ...check };
  }
}
