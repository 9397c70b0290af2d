/** Our signatures are those of the SDK. */
import { S3Client } from '@aws-sdk/client-s3';
import { S3RequestPresigner } from '@aws-sdk/s3-request-presigner';
import { expect, it } from 'vitest';
import { type Credentials, escaped, escapedPath, signedHeaders, signedQuery } from '../../src/storage/s3/signature.ts';

const REGION = 'eu-central-1';
const PATH = `/bucket/${escapedPath("it's (a) *key*, ~ü+/2024-09-27/x y.png")}`;
const CREDENTIALS: [string, Credentials][] = [
  ['of a user', { accessKeyId: 'AKID', secretAccessKey: 'secret' }],
  ['that expire', { accessKeyId: 'ASID', secretAccessKey: 'other', sessionToken: 'token/with+all=' }],
];
const ADDRESS = { protocol: 'http:', hostname: 'localhost', port: 9000, path: PATH };

/** Two days, so that the key of the first is not taken for the second. */
const DATES = [new Date('2024-09-27T14:15:22.345Z'), new Date('2024-09-28T00:00:00Z')];

it.each(CREDENTIALS)('signs a request with credentials %s', async (_, credentials) => {
  const signer = await new S3Client({ region: REGION, credentials }).config.signer();
  const headers = {
    host: 'localhost:9000',
    'content-type': 'image/png',
    'content-length': '3',
    'content-disposition': 'inline;  filename="x.png" ',
    'if-none-match': '*',
    'x-amz-meta-nonce': 'V1StGXR8_Z5jdHi6B-myT',
    'x-amz-content-sha256': 'a'.repeat(64),
  };
  for (const signingDate of DATES) {
    const request = { ...ADDRESS, method: 'PUT', headers: { ...headers } };
    const expected = await signer.sign(request, { signingDate });
    expect(signedHeaders({ method: 'PUT', path: PATH, headers }, credentials, REGION, signingDate)).toEqual(
      expected.headers,
    );
  }
});

it.each(CREDENTIALS)('signs a query with credentials %s', async (_, credentials) => {
  const signer = await new S3Client({ region: REGION, credentials }).config.signer();
  const headers = { host: 'localhost:9000', 'x-amz-content-sha256': 'a'.repeat(64) };
  const query = { 'list-type': '2', prefix: "it's (a)/*key*", 'start-after': 'ü+ ~/x' };
  const text = Object.entries(query).map(([name, value]) => `${name}=${escaped(value)}`);
  const expected = await signer.sign(
    { ...ADDRESS, method: 'GET', query, headers: { ...headers } },
    { signingDate: DATES[0]! },
  );
  const request = { method: 'GET', path: PATH, query: text.join('&'), headers };
  expect(signedHeaders(request, credentials, REGION, DATES[0]!)).toEqual(expected.headers);
});

it.each(CREDENTIALS)('signs a URL with credentials %s', async (_, credentials) => {
  const presigner = new S3RequestPresigner(new S3Client({ region: REGION, credentials }).config);
  const headers = { host: 'localhost:9000' };
  for (const signingDate of DATES) {
    const request = { ...ADDRESS, method: 'GET', headers: { ...headers } };
    const { query = {} } = await presigner.presign(request, { signingDate, expiresIn: 60 });
    const ours = signedQuery({ method: 'GET', path: PATH, headers }, credentials, REGION, signingDate, 60);
    expect(Object.fromEntries(new URLSearchParams(ours))).toEqual(query);
  }
});
