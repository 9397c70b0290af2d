/**
 * Keeps compiled code between the many processes and threads that tests start; run before each test file for this effect.
 * Vitest turns the cache off where coverage is measured, for the sake of the process that runs the tests, which has
 * started by now; what that starts in turn would compile, and strip of types, each of its modules anew.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';

delete process.env.NODE_DISABLE_COMPILE_CACHE;
process.env.NODE_COMPILE_CACHE ??= join(tmpdir(), `image-storage-compile-cache-${process.getuid?.() ?? ''}`);
