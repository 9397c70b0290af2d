/** Creates the SDK's client for one bucket, configured so that it retries, logs and adds nothing by itself. */
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import type { S3Config } from '../domain/config.ts';

const CONNECTION_TIMEOUT_MS = 5_000;
/** How long a connection may transfer nothing. */
export const IDLE_TIMEOUT_MS = 30_000;
const MAX_CONNECTIONS = 128;
const SILENT = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** How far the clock of a service is ahead of ours, as its answers showed; the clients of one bucket share it. */
export interface ServiceClock {
  offsetMs: number;
}

/** `idleTimeoutMs` is how long a connection may transfer nothing before its request fails. */
export function createClient(
  config: S3Config,
  endpoint: string | undefined,
  {
    idleTimeoutMs = IDLE_TIMEOUT_MS,
    connectionTimeoutMs = CONNECTION_TIMEOUT_MS,
    clock = { offsetMs: 0 } as ServiceClock,
  } = {},
): S3Client {
  const { region, accessKey, secretKey, forcePathStyle = endpoint !== undefined } = config;
  const options: S3ClientConfig = {
    region,
    forcePathStyle,
    // retrying-store.ts retries instead: it knows what an attempt may have left behind.
    maxAttempts: 1,
    // The caller reports errors; the SDK would write them to the console.
    logger: SILENT,
    // R2 and others reject the checksums that the SDK adds by default; the payload's sha256 is signed instead.
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
  const client = new S3Client(options);
  // The SDK keeps in its configuration what it learns from answers.
  Object.defineProperty(client.config, 'systemClockOffset', {
    get: () => clock.offsetMs,
    set: (offsetMs: number) => {
      clock.offsetMs = offsetMs;
    },
  });
  return client;
}

/** Returns the prefix of every key: empty, or ending in a slash. */
export function prefixOf({ prefix = '' }: S3Config): string {
  const trimmed = prefix.replace(/^\/+|\/+$/g, '');
  return trimmed === '' ? '' : `${trimmed}/`;
}
