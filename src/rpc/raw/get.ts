/** Answers a Get on a stream of node:http2. */
import type { ServerHttp2Stream } from 'node:http2';
import { GetRequestSchema, GetResponseSchema } from '../../../gen/imagestorage/v1/image_storage_pb.ts';
import type { Hold } from '../../storage/async/budget.ts';
import type { SingleChunk, StoredImage } from '../../storage/domain/image.ts';
import { withHold } from '../answers.ts';
import { imageFrom, numberOf } from '../convert.ts';
import { chunkHead } from '../envelope.ts';
import type { MessageRules } from '../request-body.ts';
import { closedOn, costOfBody, getHeld } from '../routes.ts';
import type { ServiceOptions } from '../services.ts';
import { subjectOfGet } from '../subjects.ts';
import { finish, type RawCall, respond } from './call.ts';
import { framed } from './frames.ts';
import { readMessage } from './single-message.ts';

/** Number and wire type of the field that brings the bytes. */
const CHUNK_TAG = GetResponseSchema.field.chunk.number * 8 + 2;

type Got = StoredImage & { hold: Hold };

export async function answerGet(call: RawCall, services: ServiceOptions, rules: MessageRules): Promise<void> {
  const { stream, signal, caller, notes } = call;
  const { messages } = notes;
  const { storage, memory } = services;
  const request = await readMessage(call, { ...rules, input: GetRequestSchema }, memory);
  messages.received = 1;
  const { filename, provider, metadataOnly } = request;
  const part = { offset: numberOf(request.offset), limit: numberOf(request.limit) };
  const receiver = { budget: memory.kept, caller, signal };
  const get = async () => {
    const turn = await memory.atWork.hold(caller, 1, { signal });
    return await storage.get(filename, { provider, ...part, reuseMemory: true }).finally(turn.release);
  };
  const isAtOnce = ({ atOnce }: StoredImage) => !metadataOnly && atOnce !== undefined;
  const got = await getHeld(get, receiver, (image) => (isAtOnce(image) ? costOfBody(image.item) : 0));
  notes.subject = subjectOfGet(got.item, { ...part, metadataOnly });
  if (stream.destroyed) return;
  messages.sent = 1;
  if (isAtOnce(got)) return writeAtOnce(call, got, got.atOnce!);
  writeImage(stream, got, got.hold.release);
  if (metadataOnly) return;
  for await (const chunk of withHold(closedOn(signal, got.body), costOfBody(got.item), receiver)) {
    messages.sent += 1;
    await writeChunk(stream, chunk);
  }
}

function writeImage(stream: ServerHttp2Stream, { item }: Got, written: () => void): void {
  respond(stream);
  stream.write(framed(GetResponseSchema, { payload: { case: 'image', value: imageFrom(item) } }), written);
}

/** Writes all of the answer in one go. */
async function writeAtOnce(call: RawCall, got: Got, read: () => Promise<SingleChunk>): Promise<void> {
  const { stream } = call;
  const { hold } = got;
  const reading = read();
  const [{ value, reason }] = (await Promise.allSettled([reading])) as [{ value?: SingleChunk; reason?: unknown }];
  if (stream.destroyed) return;
  stream.cork();
  writeImage(stream, got, () => {
    if (value === undefined) hold.release();
  });
  if (value === undefined) {
    stream.uncork();
    throw reason;
  }
  const { bytes, failure } = value;
  call.notes.messages.sent += 1;
  stream.write(chunkHead(CHUNK_TAG, bytes.length));
  stream.write(bytes, (error) => {
    hold.release();
    // On an error they may still be on their way.
    if (!error) (bytes.buffer as ArrayBuffer).transfer(0);
  });
  const finished = failure === undefined ? finish(call) : undefined;
  stream.uncork();
  await finished;
  if (failure !== undefined) throw failure;
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
