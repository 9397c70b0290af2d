/** Answers a Save on a stream of node:http2. */
import { SaveResponseSchema } from '../../../gen/imagestorage/v1/image_storage_pb.ts';
import type { MessageRules } from '../request-body.ts';
import { save } from '../routes.ts';
import { storeIncoming } from '../save-stream.ts';
import type { ServiceOptions } from '../services.ts';
import { type RawCall, respond } from './call.ts';
import { framed } from './frames.ts';
import { RawSaveMessages } from './save-messages.ts';

export async function answerSave(call: RawCall, services: ServiceOptions, rules: MessageRules): Promise<void> {
  const { stream, signal, caller } = call;
  const arrived = { bytes: 0 };
  const sender = { caller, signal, memory: services.memory, arrived };
  const receive = (stop: AbortController) =>
    new RawSaveMessages(stream, { rules, limits: services.save, sender, stop });
  const answer = await storeIncoming(receive, signal, (incoming) => save(services.storage, incoming, caller, arrived));
  if (stream.destroyed) return;
  respond(stream);
  stream.write(framed(SaveResponseSchema, answer));
}
