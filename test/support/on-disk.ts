/** Imported by test files that are about what a disk does, or when: their temporary folders are on one. */
import { inject } from 'vitest';

process.env.TMPDIR = inject('temporaryFolders').disk;
