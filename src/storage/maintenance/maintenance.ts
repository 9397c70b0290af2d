/** What the checks of a store work by and find. */
import type { Finding, VerifyOptions } from '../domain/maintenance.ts';

/** What a provider found at one place. */
export interface Checked {
  /** Of the image that was checked there, if there is one. */
  sizeBytes?: number;
  findings: Finding[];
  undecided?: boolean;
}

/** What the check of a provider works by. */
export interface CheckOptions extends Omit<VerifyOptions, 'signal'> {
  /** Runs the work, which the close of the provider waits for, unless the call was cancelled or the provider closes. */
  run<T>(work: () => Promise<T>): Promise<T>;
}
