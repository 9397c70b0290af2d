/** A gRPC server that answers as a test says: for answers that a healthy daemon gives too rarely to wait for. */
import { create, type DescMethod, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { AnySchema, anyPack, durationFromMs } from '@bufbuild/protobuf/wkt';
import {
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type StatusObject,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { ImageStorage } from '../../gen/imagestorage/v1/image_storage_pb.ts';

export interface ScriptedDaemon extends AsyncDisposable {
  address: string;
}

export async function startScripted(
  handlers: UntypedServiceImplementation,
  credentials = ServerCredentials.createInsecure(),
  at = '127.0.0.1:0',
): Promise<ScriptedDaemon> {
  const server = new Server();
  server.addService(serviceOf(Object.values(ImageStorage.method)), handlers);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync(at, credentials, (error, port) => (error ? reject(error) : resolve(port)));
  const address = `127.0.0.1:${await promise}`;
  return { address, [Symbol.asyncDispose]: async () => server.forceShutdown() };
}

/** A status with the details that the contract promises. */
export function refusal(
  code: number,
  reason: string,
  extra: { field?: string; retryAfterMs?: number } = {},
): StatusObject {
  const details = [anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason, domain: 'imagestorage.dev' }))];
  if (extra.field) {
    const fieldViolations = [{ field: extra.field, description: 'is wrong' }];
    details.push(anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations })));
  }
  if (extra.retryAfterMs !== undefined) {
    const retryDelay = durationFromMs(extra.retryAfterMs);
    details.push(anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay })));
  }
  const status = new BinaryWriter().tag(1, 0).int32(code).tag(2, 2).string(reason);
  for (const detail of details) status.tag(3, 2).bytes(toBinary(AnySchema, detail));
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', Buffer.from(status.finish()));
  return { code, details: `refused: ${reason}`, metadata };
}

function serviceOf(methods: readonly DescMethod[]): ServiceDefinition {
  return Object.fromEntries(methods.map((method) => [method.localName, definitionOf(method)]));
}

function definitionOf({
  parent,
  name,
  methodKind,
  input,
  output,
}: DescMethod): MethodDefinition<Record<string, unknown>, Record<string, unknown>> {
  return {
    path: `/${parent.typeName}/${name}`,
    requestStream: methodKind === 'client_streaming',
    responseStream: methodKind === 'server_streaming',
    requestSerialize: (value) => Buffer.from(toBinary(input, create(input, value))),
    requestDeserialize: (bytes) => fromBinary(input, bytes),
    responseSerialize: (value) => Buffer.from(toBinary(output, create(output, value))),
    responseDeserialize: (bytes) => fromBinary(output, bytes),
  };
}
