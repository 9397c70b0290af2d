/** Envelopes of gRPC messages that are written without a copy of their bytes. */
import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { PREFIX_BYTES, prefixOf } from '../envelope.ts';

/** Returns the message in its envelope. */
export function framed<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): Buffer {
  const bytes = toBinary(schema, create(schema, message));
  return Buffer.concat([prefixOf(bytes.length), bytes]);
}

/** Returns what comes before so many bytes, which are the only field of their message. */
export function headOf(tag: number, bytes: number): Buffer {
  const head = [tag];
  let rest = bytes;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) head.push((rest % 0x80) + 0x80);
  head.push(rest);
  const framedHead = Buffer.allocUnsafe(PREFIX_BYTES + head.length);
  framedHead.set(prefixOf(head.length + bytes));
  framedHead.set(head, PREFIX_BYTES);
  return framedHead;
}
