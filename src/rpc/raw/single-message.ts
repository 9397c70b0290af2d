/** Reads the one message of a request that is no stream. */
import { constants } from 'node:http2';
import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Hold } from '../../storage/async/budget.ts';
import { COMPRESSED, PREFIX_BYTES } from '../envelope.ts';
import { undecodable } from '../errors.ts';
import { FieldCounter } from '../field-counter.ts';
import { tooLarge } from '../inflate.ts';
import type { CallMemory } from '../memory.ts';
import { costOf, type MessageRules } from '../request-body.ts';
import type { RawCall } from './call.ts';

/** Larger ones wait for memory before they are read. */
const SMALL_BYTES = 16 * 1024;

/** Holds memory for the message until the end of the call. Rejects as connect does where there is not exactly one. */
export async function readMessage<Desc extends DescMessage>(
  call: RawCall,
  rules: MessageRules & { input: Desc },
  memory: CallMemory,
): Promise<MessageShape<Desc>> {
  const { signal, caller } = call;
  let hold: Promise<Hold> | undefined;
  const bytes = await receive(call, rules.maxBytes, (sizeBytes) => {
    hold = memory.kept.hold(caller, costOf(sizeBytes), { signal });
    return hold;
  });
  const held = await hold!;
  signal.addEventListener('abort', held.release, { once: true });
  const counter = new FieldCounter(rules.input);
  counter.push(bytes);
  held.shrink(costOf(bytes.length, counter.fields));
  try {
    return fromBinary(rules.input, bytes, { readUnknownFields: false });
  } catch (error) {
    throw undecodable(error);
  }
}

/** Resolves with the bytes of the message once the client has half-closed. */
function receive(
  { stream, signal, requestMs }: RawCall,
  maxBytes: number,
  hold: (sizeBytes: number) => Promise<Hold>,
): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const unsent = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), requestMs);
  let body: Buffer = Buffer.alloc(0);
  let sizeBytes: number | undefined;
  const begin = () => {
    sizeBytes = body.readUInt32BE(1);
    if (sizeBytes > maxBytes) throw tooLarge();
    // No compression was agreed on.
    if ((body[0]! & COMPRESSED) !== 0) throw undecodable(undefined);
    const held = hold(sizeBytes);
    held.catch(reject);
    if (sizeBytes <= SMALL_BYTES) return;
    stream.pause();
    held.then(() => stream.resume()).catch(() => undefined);
  };
  stream.on('data', (piece: Buffer) => {
    body = body.length === 0 ? piece : Buffer.concat([body, piece]);
    try {
      if (sizeBytes === undefined && body.length >= PREFIX_BYTES) begin();
      if (sizeBytes !== undefined && body.length > PREFIX_BYTES + sizeBytes) throw notOne('received extra');
    } catch (error) {
      stream.removeAllListeners('data').pause();
      reject(error);
    }
  });
  stream.once('end', () => {
    if (body.length === 0) reject(notOne('missing'));
    else if (sizeBytes === undefined || body.length < PREFIX_BYTES + sizeBytes) reject(undecodable(undefined));
    else resolve(body.subarray(PREFIX_BYTES));
  });
  signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  promise.catch(() => undefined).finally(() => clearTimeout(unsent));
  return promise;
}

function notOne(what: string): ConnectError {
  const message = `protocol error: ${what} input message for server-streaming method`;
  return new ConnectError(message, Code.Unimplemented);
}
