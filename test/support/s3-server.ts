/** Builds the S3 server once for all test processes, also for those of users who have no Go and may not write here. */
import { buildVersitygw, versitygwAvailable } from './versitygw.ts';

export default async function setup(): Promise<void> {
  if (versitygwAvailable) await buildVersitygw();
}
