/** Serves Save and Get on the streams of node:http2, where bytes pass without a layer for each message. */
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { DescMethod } from '@bufbuild/protobuf';
import { ImageStorage } from '../../../gen/imagestorage/v1/image_storage_pb.ts';
import type { Caller } from '../../storage/domain/caller.ts';
import { meterOf } from '../observer.ts';
import { needOf } from '../scopes.ts';
import { messageRules, type ServiceOptions } from '../services.ts';
import { MAX_TIMEOUT_MS, timeoutMsOf } from '../timeout.ts';
import { type RawCall, type RawOptions, serveCall } from './call.ts';
import { answerGet } from './get.ts';
import { answerSave } from './save.ts';

const CONTENT_TYPES = new Set<string | undefined>(['application/grpc', 'application/grpc+proto']);

/** Takes a request; returns false, and leaves the stream as it is, where it is not one that it serves. */
export type RawHandler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, caller: Caller) => boolean;

/** Serves gRPC over HTTP/2 without compression. */
export function createRawHandler(services: ServiceOptions, options: RawOptions): RawHandler {
  const { save, get } = ImageStorage.method;
  const { gate, ...others } = options;
  const saveRules = messageRules(save, services);
  const getRules = messageRules(get, services);
  const serving = (method: DescMethod, answer: (call: RawCall) => Promise<void>) =>
    [pathOf(method), { method, meter: meterOf(options, method), answer }] as const;
  const methods = new Map<string | undefined, ReturnType<typeof serving>[1]>([
    serving(save, (call) => answerSave(call, services, saveRules)),
    serving(get, (call) => answerGet(call, services, getRules)),
  ]);
  return (stream, headers, caller) => {
    const served = methods.get(headers[':path']);
    if (served === undefined || !isPlainGrpc(headers)) return false;
    const { method, meter, answer } = served;
    const timeoutMs = timeoutMsOf(headers['grpc-timeout']);
    const requestId = headers['x-request-id'];
    const { authorization } = headers;
    // No cookie: no page can send it.
    const admit = () => gate({ authorization }, caller, needOf(method)).caller;
    serveCall(stream, { ...others, caller, admit, method, meter, requestId, timeoutMs }, answer);
    return true;
  };
}

function pathOf({ parent, name }: DescMethod): string {
  return `/${parent.typeName}/${name}`;
}

/** What is not as usual, connect answers. */
function isPlainGrpc(headers: IncomingHttpHeaders): boolean {
  const { ':method': method, 'content-type': type, 'grpc-encoding': encoding, 'grpc-timeout': timeout } = headers;
  if (method !== 'POST' || !CONTENT_TYPES.has(type)) return false;
  if (encoding !== undefined && encoding !== 'identity') return false;
  return timeout === undefined || (timeoutMsOf(timeout) ?? Number.POSITIVE_INFINITY) <= MAX_TIMEOUT_MS;
}
