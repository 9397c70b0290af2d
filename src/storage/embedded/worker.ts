/** The thread that interprets large blocks, one file after the other. */
import { parentPort } from 'node:worker_threads';
import { interpret } from './interpret.ts';
import type { Blocks } from './metadata-blocks.ts';

/** Buffers arrive as plain arrays of bytes. */
type Sent = Omit<Blocks, 'exif' | 'xmp' | 'comment'> & { exif?: Uint8Array; xmp?: Uint8Array; comment?: Uint8Array };

parentPort!.on('message', async ({ exif, xmp, comment, texts }: Sent) => {
  const [exifBytes, xmpBytes, commentBytes] = [exif, xmp, comment].map((bytes) => bytes && Buffer.from(bytes.buffer));
  const blocks: Blocks = { exif: exifBytes, xmp: xmpBytes, comment: commentBytes, texts };
  parentPort!.postMessage(await interpret(blocks).catch(() => ({})));
});
