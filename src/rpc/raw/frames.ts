/** Envelopes of gRPC messages that are written without a copy of their bytes. */
import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { prefixOf } from '../envelope.ts';

/** Returns the message in its envelope. */
export function framed<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): Buffer {
  const bytes = toBinary(schema, create(schema, message));
  return Buffer.concat([prefixOf(bytes.length), bytes]);
}
