/** A process that saves images as fast as it can over one connection: gRPC frames made beforehand, on bare HTTP/2. */
import { connect } from 'node:http2';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { SaveRequestSchema } from '../gen/imagestorage/v1/image_storage_pb.ts';
import { pngOf } from '../test/support/images.ts';
import { promptOf } from '../test/support/many-images.ts';
import { answerParent } from './child.ts';
import { type Round, runFor } from './rounds.ts';

const CHUNK_BYTES = 256 * 1024;
/** Whole images are queued in the session. */
const MAX_SESSION_MEMORY_MB = 1000;

export interface SaveLoad {
  /** `host:port` */
  address: string;
  imageBytes: number;
  concurrency: number;
  durationMs: number;
}

const REQUEST = {
  ':method': 'POST',
  ':path': '/imagestorage.v1.ImageStorage/Save',
  'content-type': 'application/grpc',
  te: 'trailers',
};
const framesOfSize = new Map<number, Buffer[]>();
let saved = 0;

async function saveOn({ address, imageBytes, concurrency, durationMs }: SaveLoad): Promise<Round> {
  const session = connect(`http://${address}`, { maxSessionMemory: MAX_SESSION_MEMORY_MB });
  const chunks = framesOf(imageBytes);
  const save = () => {
    const stream = session.request(REQUEST);
    stream.cork();
    for (const frame of [header(), ...chunks]) stream.write(frame);
    stream.uncork();
    stream.end();
    return new Promise<void>((resolve, reject) => {
      stream.on('trailers', (trailers) => settle(trailers['grpc-status'], trailers['grpc-message']));
      stream.on(
        'response',
        (headers) => headers['grpc-status'] && settle(headers['grpc-status'], headers['grpc-message']),
      );
      stream.on('error', reject);
      stream.resume();
      const settle = (status: unknown, message: unknown) =>
        status === '0' ? resolve() : reject(new Error(`gRPC status ${status}: ${message}`));
    });
  };
  const round = await runFor(durationMs, concurrency, save);
  session.close();
  return round;
}

/** Returns a header of another image each time, as far as the daemon can tell. */
function header(): Buffer {
  saved += 1;
  const metadata = { prompt: promptOf(saved), model: 'flux-schnell', category: 'bench', parametersJson: '{"steps":4}' };
  return frame({ case: 'header', value: { metadata, idempotencyKey: `${process.pid}-${saved}` } });
}

function framesOf(imageBytes: number): Buffer[] {
  const known = framesOfSize.get(imageBytes);
  if (known !== undefined) return known;
  const image = pngOf({ width: 64, height: 64, sizeBytes: imageBytes });
  const frames: Buffer[] = [];
  for (let at = 0; at < image.length; at += CHUNK_BYTES) {
    frames.push(frame({ case: 'chunk', value: image.subarray(at, at + CHUNK_BYTES) }));
  }
  framesOfSize.set(imageBytes, frames);
  return frames;
}

function frame(payload: MessageInitShape<typeof SaveRequestSchema>['payload']): Buffer {
  const message = toBinary(SaveRequestSchema, create(SaveRequestSchema, { payload }));
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

answerParent(saveOn);
