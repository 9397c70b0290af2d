/** One connection to a daemon: typed calls on grpc-js, each ending in a message or an ImageStorageError. */
import { createSecureContext } from 'node:tls';
import {
  create,
  type DescMessage,
  type DescMethodClientStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import {
  type ChannelCredentials,
  Client,
  type ClientWritableStream,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { baseUrlOf, type Endpoint } from './endpoint.ts';
import { errorFromStatus, ImageStorageError } from './errors.ts';
import { explainUnreachable, NO_ANSWER, type Reach } from './reach.ts';

export interface CallLimits {
  /** ms since 1970, or Infinity. */
  deadline: number;
  /** Until when the first connection must be made: ms since 1970. */
  connectBy: number;
  signal?: AbortSignal;
}

/** A client-streaming call while its request is being sent. */
export interface Upload<I, O> {
  /**
   * Sends one message. Resolves when there is room for the next one, or an answer; rejects with the error of the call.
   */
  write(message: I): Promise<void>;
  end(): void;
  cancel(): void;
  /** The answer; it may come before the request has ended. */
  answer: Promise<O>;
}

export interface Transport {
  /** Where the daemon answers by HTTP; undefined for a Unix socket. */
  readonly baseUrl: string | undefined;
  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    limits: CallLimits,
  ): Promise<MessageShape<O>>;
  /** Yields the messages; cancels the call when the reader stops. */
  download<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    limits: CallLimits,
  ): AsyncGenerator<MessageShape<O>>;
  upload<I extends DescMessage, O extends DescMessage>(
    method: DescMethodClientStreaming<I, O>,
    limits: CallLimits,
  ): Upload<MessageInitShape<I>, MessageShape<O>>;
  close(): void;
}

/** Of one call, for its first connection. */
interface Watch {
  end(): void;
  /** True once it ended the call. */
  isOver: boolean;
}

const CHANNEL_OPTIONS = {
  // The client itself retries: it keeps the idempotency key and knows which source can be read again.
  'grpc.enable_retries': 0,
  'grpc.initial_reconnect_backoff_ms': 100,
  // An attempt between two connects fails at once: keep this far below the time over which attempts are spread.
  'grpc.max_reconnect_backoff_ms': 500,
  // Detects a daemon whose machine vanished, which never answers.
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc-node.flow_control_window': 2 * 1024 * 1024,
  'grpc.use_local_subchannel_pool': 1,
  // The http_proxy of the environment must not apply to a daemon on the generator's machine.
  'grpc.enable_http_proxy': 0,
};

/** Returns a transport to `host:port` or `unix:PATH`, which connects on the first call. */
export function openTransport(endpoint: Endpoint, reach: Reach): Transport {
  const { address, token, tls } = endpoint;
  const client = new Client(address, channelCredentials(tls), CHANNEL_OPTIONS);
  const target = client.getChannel().getTarget();
  let closed = false;
  /** Returns the metadata of a call. Throws CANCELLED once the client is closed. */
  const metadata = () => {
    if (closed) throw new ImageStorageError(status.CANCELLED, 'the client was closed');
    const sent = new Metadata();
    if (token) sent.set('authorization', `Bearer ${token}`);
    return sent;
  };
  /** Returns whether the call had a connection; until then its peer is the target. */
  const connected = (call: { getPeer(): string }) => {
    const isConnected = ![target, 'unknown'].includes(call.getPeer());
    reach.was ||= isConnected;
    return isConnected;
  };
  /** Ends a call that finds no first connection in time. */
  const watch = (call: { getPeer(): string; cancel(): void }, { connectBy }: CallLimits): Watch => {
    const watch: Watch = { end: () => clearTimeout(timer), isOver: false };
    const onTime = () => {
      if (reach.was || connected(call)) return;
      watch.isOver = true;
      call.cancel();
    };
    const timer = reach.was ? undefined : setTimeout(onTime, Math.max(0, connectBy - Date.now()));
    return watch;
  };
  const failure = (error: ServiceError, sent: boolean, { signal }: CallLimits, { isOver }: Watch) => {
    if (isOver) return explainUnreachable(new ImageStorageError(status.UNAVAILABLE, NO_ANSWER), reach);
    if (!signal?.aborted) return explainUnreachable(errorFromStatus(error, sent), reach);
    const details = { cause: signal.reason, outcomeUnknown: sent };
    return new ImageStorageError(status.CANCELLED, 'the call was cancelled', details);
  };

  return {
    baseUrl: baseUrlOf(endpoint),

    unary(method, request, limits) {
      const { promise, resolve, reject } = Promise.withResolvers<MessageShape<(typeof method)['output']>>();
      const { path, serialize, deserialize } = codec(method);
      const message = create(method.input, request);
      const call = client.makeUnaryRequest(
        path,
        serialize,
        deserialize,
        message,
        metadata(),
        limits,
        (error, answer) => {
          watching.end();
          const isConnected = connected(call);
          if (error) reject(failure(error, isConnected, limits, watching));
          else resolve(answer!);
        },
      );
      const watching = watch(call, limits);
      return withAbort(limits.signal, () => call.cancel(), promise);
    },

    async *download(method, request, limits) {
      const { path, serialize, deserialize } = codec(method);
      const message = create(method.input, request);
      const call = client.makeServerStreamRequest(path, serialize, deserialize, message, metadata(), limits);
      const watching = watch(call, limits);
      // grpc-js emits the status of a cancelled call after its reader has left.
      call.on('error', () => {});
      const cancel = () => call.cancel();
      limits.signal?.addEventListener('abort', cancel);
      if (limits.signal?.aborted) cancel();
      let ended = false;
      try {
        for await (const message of call) {
          watching.end();
          reach.was = true;
          yield message;
        }
        ended = true;
      } catch (error) {
        ended = true;
        connected(call);
        throw failure(error as ServiceError, false, limits, watching);
      } finally {
        watching.end();
        limits.signal?.removeEventListener('abort', cancel);
        // Cancelling a call that has ended resets it, and servers close connections with many resets.
        if (!ended) cancel();
      }
    },

    upload(method, limits) {
      const { promise, resolve, reject } = Promise.withResolvers<MessageShape<(typeof method)['output']>>();
      const { path, serialize, deserialize } = codec(method);
      let ended = false;
      const call = client.makeClientStreamRequest(path, serialize, deserialize, metadata(), limits, (error, answer) => {
        watching.end();
        const isConnected = connected(call);
        if (error) reject(failure(error, ended && isConnected, limits, watching));
        else resolve(answer!);
      });
      const watching = watch(call, limits);
      // A write after an early answer fails; the answer has the reason.
      call.on('error', () => {});
      const answer = withAbort(limits.signal, () => call.cancel(), promise);
      answer.catch(() => {});
      return {
        answer,
        write: (message) => write(call, create(method.input, message), answer),
        end() {
          ended = true;
          call.end();
        },
        cancel: () => call.cancel(),
      };
    },

    close() {
      closed = true;
      client.close();
    },
  };
}

function channelCredentials(tls: Endpoint['tls']): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  return credentials.createFromSecureContext(createSecureContext(tls));
}

function codec<I extends DescMessage, O extends DescMessage>(method: {
  parent: { typeName: string };
  name: string;
  input: I;
  output: O;
}) {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    serialize(message: MessageShape<I>): Buffer {
      const bytes = toBinary(method.input, message);
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
    deserialize: (bytes: Buffer): MessageShape<O> => fromBinary(method.output, bytes),
  };
}

async function write<T>(call: ClientWritableStream<T>, message: T, answer: Promise<unknown>): Promise<void> {
  if (call.write(message)) return;
  const { promise: drained, resolve } = Promise.withResolvers<void>();
  call.once('drain', resolve);
  await Promise.race([drained, answer]).finally(() => call.off('drain', resolve));
}

function withAbort<T>(signal: AbortSignal | undefined, cancel: () => void, result: Promise<T>): Promise<T> {
  if (!signal) return result;
  signal.addEventListener('abort', cancel);
  if (signal.aborted) cancel();
  return result.finally(() => signal.removeEventListener('abort', cancel));
}
