/** Holds docs/openapi.yaml against the daemon: its paths, its names, and the answers that it describes. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { imageApi } from '../../src/http/image-api.ts';
import { imageRoute } from '../../src/http/images.ts';
import { sessionRoutes } from '../../src/http/session.ts';
import { signRoute } from '../../src/http/sign.ts';
import { zipRoute } from '../../src/http/zip.ts';
import { FIELD_NAMES } from '../../src/rpc/json.ts';
import { pngOf } from '../support/images.ts';
import { type RunningDaemon, runDaemon } from '../support/running-daemon.ts';

interface Parameter {
  name: string;
  in: string;
}
interface Response {
  $ref?: string;
  content?: Record<string, { schema?: unknown }>;
}
interface Operation {
  parameters?: Parameter[];
  responses: Record<string, Response>;
  requestBody?: { content: Record<string, { schema: { properties: Record<string, unknown> } }> };
}
type Path = { parameters?: Parameter[] } & Record<'get' | 'post' | 'delete', Operation | undefined>;

const page = parse(readFileSync(new URL('../../docs/openapi.yaml', import.meta.url), 'utf8'));
const paths: Record<string, Path> = page.paths;
const methodsOf = (path: Path) => Object.keys(path).filter((name) => name !== 'parameters');

let daemon: RunningDaemon;
let filename = '';
beforeAll(async () => {
  daemon = await runDaemon({ IMAGE_STORAGE_PROVIDERS_LOCAL_TRASH_DAYS: '7' });
});
afterAll(() => daemon.close());

describe('the names', () => {
  it('of paths and methods are those of the routes', () => {
    const options = { storage: {}, memory: {} } as never;
    const routes = [
      imageRoute(options),
      ...imageApi(options),
      ...sessionRoutes(options),
      signRoute(options),
      zipRoute(options),
    ];
    const sampleOf = (path: string) =>
      path
        .replace('{day}', '2026-01-01')
        .replace('{model}', 'flux')
        .replace(/\{\w+\}/, 'a.png');
    const described = Object.entries(paths).flatMap(([path, each]) =>
      methodsOf(each).map((method) => `${method.toUpperCase()} ${sampleOf(path)}`),
    );
    const knows = (target: string) => {
      const [method, path] = target.split(' ') as [string, string];
      return routes.filter((route) => route.methods.includes(method) && route.path.test(path));
    };
    const own = described.filter((target) => !/\/(healthz|readyz)$/.test(target));
    expect(own.filter((target) => knows(target).length !== 1)).toEqual([]);
    expect(routes.filter((route) => !own.some((target) => knows(target).includes(route)))).toEqual([]);
  });

  it('of fields are those that are read', () => {
    const { parameters } = paths['/images']!.get!;
    expect(parameters!.map(({ name }) => name).sort()).toEqual([...FIELD_NAMES.list].sort());
    const { properties } = paths['/images']!.post!.requestBody!.content['multipart/form-data']!.schema;
    expect(Object.keys(properties).sort()).toEqual([...FIELD_NAMES.save, 'file'].sort());
  });
});

describe('the answer of', () => {
  const form = (size: string) => {
    const body = new FormData();
    const parametersJson = '{"seed":7,"steps":20,"cfg":4.5,"sampler":"euler","negative_prompt":"rain"}';
    const fields = { prompt: 'a fox <lora:ink:1>', model: 'flux', tags: 'a', ttl: '1h', parametersJson, size };
    for (const [name, text] of Object.entries(fields)) if (text !== '') body.append(name, text);
    body.append('file', new Blob([new Uint8Array(pngOf({ width: 8, height: 8 }))]));
    return { body, headers: { 'Idempotency-Key': 'once' } };
  };
  const wish = (body: object) => ({ body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
  it.each<[string, string, () => string, (() => RequestInit)?]>([
    ['post', '/images', () => '/images', () => form('')],
    ['post', '/images', () => '/images', () => form('')],
    ['post', '/images', () => '/images', () => form('1')],
    ['get', '/images', () => '/images?limit=5'],
    ['get', '/images', () => '/images?model=flx&hints=true'],
    ['get', '/images', () => '/images?limit=5000'],
    ['get', '/images/{name}', () => `/images/${filename}`],
    ['get', '/images/{name}', () => '/images/none'],
    ['post', '/sign', () => '/sign', () => wish({ filename })],
    ['delete', '/images/{name}', () => `/images/${filename}`],
    ['delete', '/images/{name}', () => `/images/${filename}?permanent=no`],
    [
      'get',
      '/outputs/images/generations/{day}/{model}/{filename}',
      () => '/outputs/images/generations/2026-01-01/flux/a.png',
    ],
    ['post', '/sign', () => '/sign', () => wish({ width: 'wide' })],
    ['get', '/session', () => '/session'],
    ['post', '/session', () => '/session'],
    ['delete', '/session', () => '/session'],
    ['post', '/zip', () => '/zip', () => ({ body: new URLSearchParams({ filename: 'none' }) })],
    ['get', '/healthz', () => '/healthz'],
    ['get', '/readyz', () => '/readyz'],
  ])('%s %s is as described', async (method, path, url, init = () => ({})) => {
    const response = await fetch(`http://${daemon.address}${url()}`, { method: method.toUpperCase(), ...init() });
    const { responses } = paths[path]![method as 'get']!;
    const described = resolved(responses[response.status] ?? responses.default) as Response;
    const json = await response.json();
    const { schema } = described.content!['application/json']!;
    const read = z.fromJSONSchema(schema as z.core.JSONSchema.JSONSchema).safeParse(json);
    expect(read.error?.issues ?? []).toEqual([]);
    filename = (json as { image?: { filename: string } }).image?.filename ?? filename;
    if (response.ok) expect(responses).toHaveProperty([`${response.status}`]);
  });
});

/** Returns the value with what its references name in their place. */
function resolved(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(resolved);
  if ('$ref' in value) {
    const keys = String(value.$ref).slice('#/'.length).split('/');
    return resolved(keys.reduce<Record<string, unknown>>((inner, key) => inner[key] as never, page));
  }
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolved(inner)]));
}
