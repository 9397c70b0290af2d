/** How a bucket is listed: by one request that we sign and read ourselves, and by the SDK where that is not enough. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ObjectStore } from '../../src/storage/bucket/object-store.ts';
import { type AnsweringServer, nextOf, startAnsweringServer } from './answering-server.ts';

const TIME = '2026-11-30T12:00:01.000Z';
const FOX = { key: 'outputs/a fox & "co".json', etag: 'e1', size: 7, lastModified: Date.parse(TIME) };

interface Answer {
  status: number;
  body?: string;
}

let server: AnsweringServer;
let objects: ObjectStore;
let asked: string[];
/** The last one is given again and again. */
let answers: Answer[];

beforeEach(async () => {
  asked = [];
  server = await startAnsweringServer((request, response) => {
    asked.push(request.url!);
    const { status, body } = nextOf(answers);
    response.writeHead(status, { 'content-type': 'application/xml' }).end(body);
  });
  ({ objects } = server);
});

afterEach(() => server[Symbol.asyncDispose]());

const HEAD =
  '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">';
const listing = (rest: string) => ({ status: 200, body: `${HEAD}<Name>b</Name>${rest}</ListBucketResult>` });

/** As services write an entry: fields in any order, quotes and others escaped in one way or another. */
const ENTRIES = [
  `<Contents><Key>it (is)/outputs/a fox &amp; &quot;co&quot;.json</Key><LastModified>${TIME}</LastModified><ETag>&quot;e1&quot;</ETag><Size>7</Size></Contents>`,
  `<Contents><LastModified>${TIME}</LastModified><ETag>&#34;e1&#34;</ETag><Size>7</Size><Owner><ID>me</ID></Owner><Key>it (is)/outputs/a fox &#x26; &#34;co&#34;.json</Key></Contents>`,
  `<Contents>\n  <Key>it (is)/outputs/a fox &#38; "co".json</Key>\n  <ETag>"e1"</ETag>\n  <Size>7</Size>\n  <LastModified>${TIME}</LastModified>\n</Contents>`,
];

it.each(ENTRIES)('reads by one request what a service lists as %s', async (entry) => {
  answers = [listing(`<KeyCount>1</KeyCount><IsTruncated>true</IsTruncated>${entry}<EncodingType></EncodingType>`)];
  expect(await objects.list('outputs/', 'outputs/a~(b)')).toEqual({ objects: [FOX], more: true });
  expect(asked).toEqual([
    '/b?list-type=2&prefix=it%20%28is%29%2Foutputs%2F&start-after=it%20%28is%29%2Foutputs%2Fa~%28b%29',
  ]);
});

it('reads a list of nothing, and one without a count', async () => {
  answers = [listing('<KeyCount>0</KeyCount><IsTruncated>false</IsTruncated>'), listing(`${ENTRIES[0]}${ENTRIES[1]}`)];
  expect(await objects.list('outputs/')).toEqual({ objects: [], more: false });
  expect(await objects.list('outputs/')).toEqual({ objects: [FOX, FOX], more: false });
  expect(asked).toEqual(Array(2).fill('/b?list-type=2&prefix=it%20%28is%29%2Foutputs%2F'));
});

const GOOD = listing(`<KeyCount>1</KeyCount>${ENTRIES[0]}`);

it.each<[string, Answer]>([
  ['301', { status: 301 }],
  ['400', { status: 400 }],
  ['403', { status: 403 }],
  ['200 with entries of another form', listing('<KeyCount>1</KeyCount><Contents a="b"></Contents>')],
  ['200 with an entry without a key', listing('<KeyCount>1</KeyCount><Contents><Size>1</Size></Contents>')],
  ['200 with a key in CDATA', listing('<KeyCount>1</KeyCount><Contents><Key><![CDATA[a]]></Key></Contents>')],
  ['200 with escaped keys', listing(`<KeyCount>1</KeyCount>${ENTRIES[0]}<EncodingType>url</EncodingType>`)],
  ['200 that breaks off', { status: 200, body: `${HEAD}<Name>b</Name>${ENTRIES[0]}` }],
  ['200 that is none of S3', { status: 200, body: '<html>Welcome</html>' }],
])('leaves an answer to the SDK that is %s', async (_, answer) => {
  answers = [answer, GOOD];
  expect(await objects.list('outputs/')).toEqual({ objects: [FOX], more: false });
  expect(new Set(asked.map((url) => new URL(url, 'http://b').searchParams.get('prefix')))).toEqual(
    new Set(['it (is)/outputs/']),
  );
  expect(asked).toHaveLength(2);
});

it.each([
  [503, 'SlowDown', 'unavailable'],
  [500, 'InternalError', 'unavailable'],
  [501, 'NotImplemented', 'misconfigured'],
])('takes %i for what it is, and does not ask again', async (status, code, failure) => {
  answers = [{ status, body: `<Error><Code>${code}</Code><Message>&lt;no&gt; &#1114112;</Message></Error>` }];
  const answer = { status, code, message: '<no> &#1114112;' };
  await expect(objects.list('outputs/')).rejects.toMatchObject({ failure, answer });
  expect(asked).toHaveLength(1);
});
