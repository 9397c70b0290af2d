/** Reads the one message of a request that is no stream. */
import { constants } from 'node:http2';
import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Hold } from '../../storage/async/budget.ts';
import { holdForCall } from '../answers.ts';
import { COMPRESSED, PREFIX_BYTES } from '../envelope.ts';
import { undecodable } from '../errors.ts';
import { FieldCounter } from '../field-counter.ts';
import { tooLarge } from '../inflate.ts';
import type { CallMemory } from '../memory.ts';
import { costOfBytes, costOfFields, type MessageRules, packedUnnamed } from '../request-body.ts';
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
    hold = holdForCall(costOfBytes(sizeBytes), { budget: memory.kept, caller, signal });
    return hold;
  });
  await hold;
  const counter = new FieldCounter(rules.input);
  counter.push(bytes);
  const cost = costOfFields(counter.fields);
  if (cost > 0) await holdForCall(cost, { budget: memory.decoded, caller, signal });
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
  const prefix = Buffer.alloc(PREFIX_BYTES);
  let message: Buffer | undefined;
  let arrived = 0;
  const begin = () => {
    const sizeBytes = prefix.readUInt32BE(1);
    if (sizeBytes > maxBytes) throw tooLarge();
    if ((prefix[0]! & COMPRESSED) !== 0) throw packedUnnamed();
    message = Buffer.allocUnsafe(sizeBytes);
    const held = hold(sizeBytes);
    held.catch(reject);
    if (sizeBytes <= SMALL_BYTES) return;
    stream.pause();
    held.then(() => stream.resume()).catch(() => undefined);
  };
  const take = (piece: Buffer) => {
    const ofPrefix = arrived < PREFIX_BYTES ? piece.copy(prefix, arrived) : 0;
    arrived += ofPrefix;
    if (arrived < PREFIX_BYTES) return;
    if (message === undefined) begin();
    const rest = piece.subarray(ofPrefix);
    if (arrived - PREFIX_BYTES + rest.length > message!.length) throw notOne('received extra');
    arrived += rest.copy(message!, arrived - PREFIX_BYTES);
  };
  stream.on('data', (piece: Buffer) => {
    try {
      take(piece);
    } catch (error) {
      stream.removeAllListeners('data').pause();
      reject(error);
    }
  });
  stream.once('end', () => {
    if (arrived === 0) reject(notOne('missing'));
    else if (message === undefined || arrived < PREFIX_BYTES + message.length) reject(undecodable(undefined));
    else resolve(message);
  });
  signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  promise.catch(() => undefined).finally(() => clearTimeout(unsent));
  return promise;
}

function notOne(what: string): ConnectError {
  const message = `protocol error: ${what} input message for server-streaming method`;
  return new ConnectError(message, Code.Unimplemented);
}
