/** Serves connect's routes to requests of node:http2 and node:http, and works around what connect does not expect. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import type { DescMethod } from '@bufbuild/protobuf';
import { type ConnectRouter, createConnectRouter, createContextValues } from '@connectrpc/connect';
import type { UniversalServerRequest, UniversalServerResponse } from '@connectrpc/connect/protocol';
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from '@connectrpc/connect-node';
import type { Budget, Hold } from '../storage/async/budget.ts';
import type { Caller } from '../storage/domain/caller.ts';
import { StorageError } from '../storage/domain/errors.ts';
import type { Logger } from '../storage/domain/logger.ts';
import type { CallMeter } from './call.ts';
import { type Arrived, arrivedKey, callerKey, refusalKey } from './caller-key.ts';
import { closeWhenAnswered } from './close-when-answered.ts';
import { toConnectError } from './errors.ts';
import type { Gate } from './gate.ts';
import { gzip } from './inflate.ts';
import { callInterceptor } from './interceptor.ts';
import type { CallMemory } from './memory.ts';
import { type CallObserver, meterOf } from './observer.ts';
import { isGrpc, packingOf } from './packing.ts';
import { type BodyFormat, type MessageRules, RequestBody } from './request-body.ts';
import { needOf } from './scopes.ts';
import { addServices, MAX_MESSAGE_BYTES, messageRules, type ServiceOptions } from './services.ts';
import { statusOf } from './status.ts';
import { MAX_TIMEOUT_MS, timeoutMsOf } from './timeout.ts';
import { isRead, unreadExplainer } from './unread-request.ts';

type UniversalHandler = ConnectRouter['handlers'][number];

export interface HandlerOptions extends CallObserver {
  log: Logger;
  gate: Gate;
  /** How long the request of an rpc without a request stream may take to arrive. */
  requestMs: number;
}

type NodeRequest = IncomingMessage | Http2ServerRequest;
type NodeResponse = ServerResponse | Http2ServerResponse;

export type Handler = (request: NodeRequest, response: NodeResponse, caller: Caller) => void;

/** Returns the handler of each path, such as `/imagestorage.v1.ImageStorage/Save`. */
export function createHandlers(services: ServiceOptions, options: HandlerOptions): ReadonlyMap<string, Handler> {
  const meters = new Map<DescMethod, CallMeter | undefined>();
  const { log, logsAccess } = options;
  const router = createConnectRouter({
    acceptCompression: [gzip],
    // Images do not shrink, and nothing else is large.
    compressMinBytes: Number.POSITIVE_INFINITY,
    readMaxBytes: MAX_MESSAGE_BYTES,
    maxTimeoutMs: MAX_TIMEOUT_MS,
    // Kept, each takes more than a hundred times its bytes.
    binaryOptions: { readUnknownFields: false },
    interceptors: [callInterceptor({ log, logsAccess, meters })],
  });
  addServices(router, services);
  const served = router.handlers.map((handler): Served => {
    const meter = meterOf(options, handler.method);
    meters.set(handler.method, meter);
    return { handler, meter, rules: messageRules(handler.method, services), memory: services.memory, ...options };
  });
  return new Map(served.map((each) => [each.handler.requestPath, handlerOf(each)]));
}

/** A method, and what serving it takes. */
interface Served extends HandlerOptions {
  meter: CallMeter | undefined;
  handler: UniversalHandler;
  rules: MessageRules;
  memory: CallMemory;
}

function handlerOf(served: Served): Handler {
  const { log, handler } = served;
  return (request, response, caller) => {
    serve(served, request, response, caller).catch((error) => {
      log.debug({ method: handler.method.name, err: error }, 'a response was not delivered');
      cut(request, constants.NGHTTP2_INTERNAL_ERROR);
    });
  };
}

async function serve(
  { handler, meter, rules, memory, log, gate, requestMs }: Served,
  nodeRequest: NodeRequest,
  response: NodeResponse,
  connected: Caller,
): Promise<void> {
  repairAuthority(nodeRequest);
  forgetEndlessDeadline(nodeRequest);
  if (!streamsRequests(handler)) closeIfUnsent(nodeRequest, requestMs);
  if ('stream' in nodeRequest) closeWhenAnswered(nodeRequest.stream);
  const explain = unreadExplainer(handler.method, log, meter);
  const arrived: Arrived = { bytes: 0 };
  const { caller, refusal } = admit(gate, nodeRequest, connected, handler.method);
  const values = createContextValues().set(callerKey, caller).set(arrivedKey, arrived).set(refusalKey, refusal);
  const request = universalRequestFromNodeRequest(nodeRequest, response, undefined, values);
  const { signal } = request;
  const turn = turnOf(handler, memory.atWork, caller, signal);
  // The connection ends with the answer, since the request is not read; a client must not send another one into it.
  if (refusal !== undefined && !('stream' in nodeRequest)) response.setHeader('connection', 'close');
  const sender = { caller, memory, signal, arrived, begin: turn.begin };
  const body = refusal ? unread(refusal) : new RequestBody(nodeRequest, formatOf(request.header), rules, sender);
  // Connect's GET has its message in the URL.
  if (request.method === 'GET') await turn.begin();
  const answer = await answered(handler, { ...request, body }, turn);
  if (!values.get(isRead)) explain(answer.trailer, refusal);
  await universalResponseToNodeResponse(answer, response);
}

/** Returns the caller under its name, or why it may not call. */
function admit(
  gate: Gate,
  { headers }: NodeRequest,
  caller: Caller,
  method: DescMethod,
): { caller: Caller; refusal?: StorageError } {
  try {
    const { authorization, cookie } = headers;
    const given = isGrpc(headers['content-type']) ? { authorization } : { authorization, cookie };
    return { caller: gate(given, caller, needOf(method)).caller };
  } catch (error) {
    if (error instanceof StorageError) return { caller, refusal: error };
    throw error;
  }
}

/** In place of a request that is not read: connect reads one before it asks any interceptor. */
function unread(refusal: StorageError): AsyncIterable<Uint8Array> {
  const next = () => Promise.reject(toConnectError(statusOf(refusal)));
  return { [Symbol.asyncIterator]: () => ({ next }) };
}

/** Ends the turn with the answer, or with its first part. */
async function answered(
  handler: UniversalHandler,
  request: UniversalServerRequest,
  turn: Turn,
): Promise<UniversalServerResponse> {
  try {
    const answer = await handler(request);
    const isLater = handler.method.methodKind === 'server_streaming' && answer.body !== undefined;
    if (isLater) return { ...answer, body: untilFirst(answer.body!, turn.end) };
    turn.end();
    return answer;
  } catch (error) {
    turn.end();
    throw error;
  }
}

/** A call's turn to work: from when its request has come. */
interface Turn {
  begin(): Promise<void>;
  end(): void;
}

/** A Save has its slot instead, and what it waits for is its client. */
function turnOf(handler: UniversalHandler, turns: Budget, caller: Caller, signal: AbortSignal): Turn {
  let hold: Hold | undefined;
  let isOver = false;
  const begin = async () => {
    if (handler.method.methodKind === 'client_streaming') return;
    hold = await turns.hold(caller, 1, { signal });
    if (isOver) hold.release();
  };
  const end = () => {
    isOver = true;
    hold?.release();
  };
  signal.addEventListener('abort', end, { once: true });
  return { begin, end };
}

async function* untilFirst(body: AsyncIterable<Uint8Array>, begun: () => void): AsyncGenerator<Uint8Array> {
  try {
    for await (const part of body) {
      begun();
      yield part;
    }
  } finally {
    begun();
  }
}

/** Messages of a compression that is known reach connect without it. */
function formatOf(header: Headers): BodyFormat {
  const { encodingHeader, ...packing } = packingOf(header.get('content-type') ?? '');
  const isGzip = header.get(encodingHeader) === gzip.name;
  if (isGzip) for (const name of [encodingHeader, 'content-length']) header.delete(name);
  return { ...packing, isGzip };
}

/** connect throws on an authority that is no host of a URL; C-core clients send one over a Unix socket. */
function repairAuthority(request: NodeRequest): void {
  const name = 'stream' in request ? ':authority' : 'host';
  const authority = request.headers[name];
  if (typeof authority !== 'string' || !URL.canParse(`http://${authority}`)) request.headers[name] = 'localhost';
}

/** HTTP/1.1 can end a request only with its connection. */
function cut(request: NodeRequest, code: number): void {
  if ('stream' in request) request.stream.close(code);
  else request.socket.destroy();
}

/** gRPC allows deadlines of years, which mean none; Node's timers reach 24 days. */
function forgetEndlessDeadline({ headers }: NodeRequest): void {
  if ((timeoutMsOf(headers['grpc-timeout']) ?? 0) > MAX_TIMEOUT_MS) delete headers['grpc-timeout'];
}

function streamsRequests({ method }: UniversalHandler): boolean {
  return method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming';
}

function closeIfUnsent(request: NodeRequest, requestMs: number): void {
  const timer = setTimeout(() => cut(request, constants.NGHTTP2_CANCEL), requestMs);
  const arrived = () => clearTimeout(timer);
  request.once('end', arrived).once('close', arrived);
}
