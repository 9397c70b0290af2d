/** grpc.reflection v1 and v1alpha: lets tools such as grpcurl call the daemon without the proto files. */
import { createRegistry, type DescFile, type DescService, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Code, type ConnectRouter } from '@connectrpc/connect';
import { file_google_rpc_error_details } from '../../gen/google/rpc/error_details_pb.ts';
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
} from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import { ServerReflection as ServerReflectionAlpha } from '../../gen/grpc/reflection/v1alpha/reflection_pb.ts';

import { unlessCancelled } from '../storage/async/byte-source.ts';

type Answer = MessageInitShape<typeof ServerReflectionResponseSchema>['messageResponse'];

/** Adds both versions of the service, which describe `services`, their errors and themselves; `shutdown` ends idle streams. */
export function addReflection(router: ConnectRouter, services: DescService[], shutdown: AbortSignal): void {
  const answer = createAnswerer([...services, ServerReflection, ServerReflectionAlpha]);
  async function* serverReflectionInfo(requests: AsyncIterable<ServerReflectionRequest>) {
    for await (const request of until(shutdown, requests)) {
      yield { validHost: request.host, originalRequest: request, messageResponse: answer(request.messageRequest) };
    }
  }
  router.service(ServerReflection, { serverReflectionInfo });
  // Both versions are the same on the wire.
  const { method } = ServerReflection;
  router.rpc({ ...method.serverReflectionInfo, parent: ServerReflectionAlpha }, serverReflectionInfo);
}

function createAnswerer(services: DescService[]): (question: ServerReflectionRequest['messageRequest']) => Answer {
  // No service names the details of errors: tools ask for them when they show one.
  const described = [...services.map(({ file }) => file), file_google_rpc_error_details];
  const files = [...new Set(described.flatMap(withDependencies))];
  const registry = createRegistry(...files);
  const fileOf = (symbol: string) => registry.get(symbol)?.file;

  return ({ case: asked, value }) => {
    switch (asked) {
      case 'listServices':
        return {
          case: 'listServicesResponse',
          value: { service: services.map(({ typeName }) => ({ name: typeName })) },
        };
      case 'fileByFilename':
        return describe(files.find(({ proto }) => proto.name === value));
      case 'fileContainingSymbol':
        // A method, field or enum value is found by its parent.
        return describe(fileOf(value) ?? fileOf(value.slice(0, value.lastIndexOf('.'))));
      case 'allExtensionNumbersOfType':
        return fileOf(value)
          ? { case: 'allExtensionNumbersResponse', value: { baseTypeName: value } }
          : describe(undefined);
      default:
        return describe(undefined);
    }
  };
}

function describe(file: DescFile | undefined): Answer {
  if (file === undefined) {
    return { case: 'errorResponse', value: { errorCode: Code.NotFound, errorMessage: 'not found' } };
  }
  return { case: 'fileDescriptorResponse', value: { fileDescriptorProto: withDependencies(file).map(encoded) } };
}

const encodings = new WeakMap<DescFile, Uint8Array<ArrayBuffer>>();

/** Encodes a file once: a client may ask for it without end. */
function encoded(file: DescFile): Uint8Array<ArrayBuffer> {
  const bytes = encodings.get(file) ?? toBinary(FileDescriptorProtoSchema, file.proto);
  encodings.set(file, bytes);
  return bytes;
}

/** Returns the file, then each of its dependencies once. */
function withDependencies(file: DescFile): DescFile[] {
  return [...new Set([file, ...file.dependencies.flatMap(withDependencies)])];
}

/** Yields from the source until it ends or the signal fires; releases both. */
async function* until<T>(stop: AbortSignal, source: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await unlessCancelled(iterator.next(), stop);
      if (done) return;
      yield value;
    }
  } catch (error) {
    if (!stop.aborted) throw error;
  } finally {
    // Not awaited: the message that it waits for may never come.
    iterator.return?.().catch(() => undefined);
  }
}
