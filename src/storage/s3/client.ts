/** The SDK's client for one bucket, set up so that nothing is retried, logged or added behind our back. */
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import type { S3Config } from '../domain/config.ts';

const CONNECTION_TIMEOUT_MS = 5_000;
/** How long a connection may carry nothing. */
export const IDLE_TIMEOUT_MS = 30_000;
const MAX_CONNECTIONS = 128;
const SILENT = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** `idleTimeoutMs`: how long a connection may carry nothing before what it was for fails. */
export function createClient(
  config: S3Config,
  endpoint: string | undefined,
  { idleTimeoutMs = IDLE_TIMEOUT_MS, connectionTimeoutMs = CONNECTION_TIMEOUT_MS } = {},
): S3Client {
  const { region, accessKey, secretKey, forcePathStyle = endpoint !== undefined } = config;
  const options: S3ClientConfig = {
    region,
    forcePathStyle,
    // Retries are retrying-store.ts's, which knows what an attempt may have left behind.
    maxAttempts: 1,
    // Whatever goes wrong is told by whoever asked; the SDK would write to the console.
    logger: SILENT,
    // R2 and others refuse what the SDK adds by default; the payload's sha256 is signed instead.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: connectionTimeoutMs,
      socketTimeout: idleTimeoutMs,
      httpAgent: { keepAlive: true, maxSockets: MAX_CONNECTIONS },
      httpsAgent: { keepAlive: true, maxSockets: MAX_CONNECTIONS },
    },
  };
  if (endpoint !== undefined) options.endpoint = endpoint;
  if (accessKey !== undefined && secretKey !== undefined) {
    options.credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
  }
  return new S3Client(options);
}

/** What every key begins with: empty, or ending in a slash. */
export function prefixOf({ prefix = '' }: S3Config): string {
  const trimmed = prefix.replace(/^\/+|\/+$/g, '');
  return trimmed === '' ? '' : `${trimmed}/`;
}
