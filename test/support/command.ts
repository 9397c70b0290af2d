/** The command as tests start it in processes of their own: from the bundle, which starts in half the time of a checkout. */
import { join } from 'node:path';
import { inject } from 'vitest';

/** Path of its script. */
export const COMMAND: string = join(inject('bundle'), 'bin/image-storage.js');

/** Path of the module that runs a command line. */
export const MAIN: string = join(inject('bundle'), 'dist/main.js');
