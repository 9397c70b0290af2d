/** The options and results of a provider's checks. */
import type { Finding, VerifyOptions } from '../domain/maintenance.ts';

/** The result of checking one image, file or object. */
export interface Checked {
  /** Of the image that was checked, if there was one. */
  sizeBytes?: number;
  findings: Finding[];
  undecided?: boolean;
}

/** The options of a provider's check. */
export interface CheckOptions extends Omit<VerifyOptions, 'signal'> {
  /** Runs work that `close` waits for. Rejects when the call was cancelled or the provider closes. */
  run<T>(work: () => Promise<T>): Promise<T>;
}
