/**
 * The floor under a save into a bucket: a process that puts the same bytes with the bare SDK, one request per image.
 */
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { pngOf } from '../test/support/images.ts';
import type { S3Server } from '../test/support/versitygw.ts';
import { answerParent } from './child.ts';
import { type Round, runFor } from './rounds.ts';

export interface BarePutLoad {
  settings: S3Server['settings'];
  bucket: string;
  imageBytes: number;
  concurrency: number;
  durationMs: number;
}

let put = 0;

function putInto({ settings, bucket, imageBytes, concurrency, durationMs }: BarePutLoad): Promise<Round> {
  const { endpoint, region, accessKey = '', secretKey = '' } = settings;
  const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
  const client = new S3Client({
    endpoint,
    region,
    credentials,
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    requestHandler: { httpAgent: { keepAlive: true, maxSockets: 128 } },
  });
  const Body = pngOf({ width: 64, height: 64, sizeBytes: imageBytes });
  return runFor(durationMs, concurrency, () => {
    put += 1;
    return client.send(
      new PutObjectCommand({ Bucket: bucket, Key: `bare/${put}.png`, Body, ContentType: 'image/png' }),
    );
  });
}

answerParent(putInto);
