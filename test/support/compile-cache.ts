/** Keeps compiled code between the many processes and threads that tests start; imported for this effect. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';

process.env.NODE_COMPILE_CACHE ??= join(tmpdir(), `image-storage-compile-cache-${process.getuid?.() ?? ''}`);
