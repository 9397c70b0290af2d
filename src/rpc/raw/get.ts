/** Answers a Get on a stream of node:http2. */
import type { ServerHttp2Stream } from 'node:http2';
import { GetRequestSchema, GetResponseSchema } from '../../../gen/imagestorage/v1/image_storage_pb.ts';
import { withHold } from '../answers.ts';
import { imageFrom, numberOf } from '../convert.ts';
import { chunkHead } from '../envelope.ts';
import type { MessageRules } from '../request-body.ts';
import { closedOn, costOfBody, getHeld } from '../routes.ts';
import type { ServiceOptions } from '../services.ts';
import { type RawCall, respond } from './call.ts';
import { framed } from './frames.ts';
import { readMessage } from './single-message.ts';

/** Number and wire type of the field that brings the bytes. */
const CHUNK_TAG = GetResponseSchema.field.chunk.number * 8 + 2;

export async function answerGet(call: RawCall, services: ServiceOptions, rules: MessageRules): Promise<void> {
  const { stream, signal, caller } = call;
  const { storage, memory } = services;
  const request = await readMessage(call, { ...rules, input: GetRequestSchema }, memory);
  const { filename, provider, metadataOnly } = request;
  const part = { offset: numberOf(request.offset), limit: numberOf(request.limit) };
  const receiver = { budget: memory.kept, caller, signal };
  const { item, body, hold } = await getHeld(async () => {
    const turn = await memory.atWork.hold(caller, 1, { signal });
    return await storage.get(filename, { provider, ...part, reuseMemory: true }).finally(turn.release);
  }, receiver);
  if (stream.destroyed) return;
  respond(stream);
  stream.write(framed(GetResponseSchema, { payload: { case: 'image', value: imageFrom(item) } }), hold.release);
  if (metadataOnly) return;
  for await (const chunk of withHold(closedOn(signal, body), costOfBody(item), receiver)) {
    await writeChunk(stream, chunk);
  }
}

/** Resolves once the bytes are out, and their memory may be used again. */
function writeChunk(stream: ServerHttp2Stream, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.cork();
    stream.write(chunkHead(CHUNK_TAG, chunk.length));
    stream.write(chunk, (error) => (error ? reject(error) : resolve()));
    stream.uncork();
  });
}
