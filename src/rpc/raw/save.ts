/** Answers a Save on a stream of node:http2. */
import { SaveResponseSchema } from '../../../gen/imagestorage/v1/image_storage_pb.ts';
import type { MessageRules } from '../request-body.ts';
import { save } from '../routes.ts';
import { type SaveStream, storeIncoming } from '../save-stream.ts';
import type { ServiceOptions } from '../services.ts';
import { type RawCall, respond } from './call.ts';
import { framed } from './frames.ts';
import { RawSaveMessages } from './save-messages.ts';

export async function answerSave(call: RawCall, services: ServiceOptions, rules: MessageRules): Promise<void> {
  const { stream, signal, caller, notes } = call;
  const { messages } = notes;
  const arrived = { bytes: 0 };
  const sender = { caller, signal, memory: services.memory, arrived };
  const receive = (stop: AbortController) =>
    new RawSaveMessages(stream, { rules, limits: services.save, sender, messages, stop });
  const store = (incoming: SaveStream) => save(services.storage, incoming, caller, arrived, notes);
  const answer = await storeIncoming(receive, signal, store);
  if (stream.destroyed) return;
  respond(stream);
  messages.sent = 1;
  stream.write(framed(SaveResponseSchema, answer));
}
