/** Holds the shape of `src/`: who may import whom, and what stays in one place. Each rule says why it is there. */
import { globSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

interface Source {
  /** From the root of the project, such as `src/rpc/routes.ts`. */
  path: string;
  text: string;
}

interface Rule {
  name: string;
  why: string;
  /** What breaks the rule in this file. */
  offences(source: Source): string[];
  /** A file the rule must catch. */
  offender: Source;
}

/** Each part of `src/`, and the parts it may import besides itself. */
const MAY_IMPORT: Record<string, string[]> = {
  main: ['cli', 'config', 'exit-codes', 'storage'],
  cli: ['daemon', 'client', 'mcp', 'auth', 'config', 'logging', 'address', 'exit-codes', 'storage'],
  mcp: ['client'],
  daemon: ['config', 'rpc', 'http', 'previews', 'auth', 'telemetry', 'storage', 'address', 'exit-codes'],
  config: ['auth', 'storage', 'address'],
  logging: ['config'],
  'exit-codes': [],
  address: [],
  auth: [],
  rpc: ['auth', 'storage'],
  http: ['rpc', 'auth', 'storage', 'address'],
  previews: ['storage'],
  telemetry: ['rpc', 'storage'],
  client: ['address'],
  storage: [],
};

const BELOW_STORES = ['types', 'disk', 'maintenance', 'catalog', 'async', 'embedded', 'formats', 'domain'];
const BELOW_PROVIDERS = ['local', 'bucket', 's3', 'doctor', 'lists', 'retention', 'transfer', ...BELOW_STORES];

/** Each room of `src/storage/`, and the rooms it may import besides itself; what stands above it can be deleted. */
const ROOM_MAY_IMPORT: Record<string, string[]> = {
  domain: [],
  async: ['domain'],
  disk: ['domain'],
  formats: ['domain'],
  catalog: ['domain'],
  embedded: ['formats', 'async', 'domain'],
  retention: ['catalog', 'domain'],
  types: ['domain'],
  maintenance: ['types', 'catalog', 'async', 'embedded', 'formats', 'domain'],
  lists: ['types', 'catalog', 'async', 'domain'],
  transfer: ['types', 'async', 'embedded', 'formats', 'domain'],
  local: BELOW_STORES,
  bucket: BELOW_STORES,
  s3: ['bucket', 'domain'],
  doctor: ['types', 'domain', 'async', 'disk', 'catalog', 'local', 'bucket', 's3'],
  providers: BELOW_PROVIDERS,
  factory: ['providers', 'types', 'domain'],
  settings: ['factory', 'domain'],
  storage: ['factory', 'settings', 'providers', ...BELOW_PROVIDERS],
  index: ['storage', 'types', 'domain'],
};

/** The daemon, the libraries, and the commands, of which a process loads one. */
const ENTRIES = ['src/main.ts', 'src/cli/*.ts', 'src/daemon.ts', 'src/client.ts', 'src/storage/index.ts'];
const HEAVY = /^(@aws-sdk\/|@prometheus-io\/|@smithy\/|@modelcontextprotocol\/|pg$|sharp$)/;

const rules: Rule[] = [
  {
    name: 'imports point one way',
    why: 'the storage library stays usable without the daemon, and a part can be replaced by touching those above it only',
    offences: (source) => importedParts(source).filter((part) => !mayImport(partOf(source.path), part)),
    offender: { path: 'src/storage/storage.ts', text: "import { routes } from '../rpc/routes.ts';" },
  },
  {
    name: 'every file belongs to a part',
    why: 'a part that the table above does not know has no rules',
    offences: ({ path }) => (partOf(path) in MAY_IMPORT ? [] : [partOf(path)]),
    offender: { path: 'src/helpers/strings.ts', text: '' },
  },
  {
    name: 'rooms of the store import only what lies below them',
    why: 'a room is understood with what it stands on, and replaced without touching that',
    offences: (source) => {
      const room = roomOf(source.path);
      if (room === undefined) return [];
      return imports(source).filter((path) => roomOf(path) !== undefined && !mayEnter(room, roomOf(path)!));
    },
    offender: { path: 'src/storage/bucket/open.ts', text: "import type { Layout } from '../local/layout.ts';" },
  },
  {
    name: 'every file of the store lies in a room',
    why: 'a room that the table above does not know has no rules',
    offences: ({ path }) => {
      const room = roomOf(path);
      return room === undefined || room in ROOM_MAY_IMPORT ? [] : [room];
    },
    offender: { path: 'src/storage/helpers/strings.ts', text: '' },
  },
  {
    name: 'previews/ knows the nouns of the store and its contracts',
    why: 'what decodes bytes of strangers reaches no part of a store but through them',
    offences: (source) =>
      partOf(source.path) === 'previews'
        ? imports(source).filter((path) => /^src\/storage\/(?!domain\/|types\.ts$)/.test(path))
        : [],
    offender: { path: 'src/previews/cache.ts', text: "import { Layout } from '../storage/local/layout.ts';" },
  },
  {
    name: 'only rpc/ and client.ts know the generated code',
    why: 'the contract may grow a second version without touching storage, CLI or HTTP',
    offences: (source) =>
      ['rpc', 'client'].includes(partOf(source.path)) ? [] : imports(source).filter((path) => path.startsWith('gen/')),
    offender: {
      path: 'src/cli/list.ts',
      text: "import type { Image } from '../../gen/imagestorage/v1/image_storage_pb.ts';",
    },
  },
  {
    name: 'only config/process.ts reads the environment, and the address of the client where its users give none',
    why: 'what a process was told is found in one place, and tests set it without touching the process',
    offences: ({ path, text }) =>
      ['src/config/process.ts', 'src/client.ts'].includes(path)
        ? []
        : (code(text).match(/\bprocess\.env\b|\benv\b[^;]*from 'node:process'/g) ?? []),
    offender: { path: 'src/daemon.ts', text: 'const port = process.env.PORT;' },
  },
  {
    name: 'only storage/s3 imports the AWS SDK',
    why: 'the protocol of object stores is ours; another bucket service must fit in without it, and local stores never load it',
    offences: (source) =>
      source.path.startsWith('src/storage/s3/')
        ? []
        : imports(source).filter((path) => /^@(aws-sdk|smithy)\//.test(path)),
    offender: { path: 'src/storage/factory.ts', text: "const sdk = await import('@aws-sdk/client-s3');" },
  },
  {
    name: 'rpc/status.ts and rpc/call.ts know no connect',
    why: 'whatever carries a call, connect or another protocol, its caller gets the same status and the log the same line',
    offences: (source) =>
      ['src/rpc/status.ts', 'src/rpc/call.ts'].includes(source.path) ? reached(source).filter(isConnect) : [],
    offender: { path: 'src/rpc/call.ts', text: "import { toConnectError } from './errors.ts';" },
  },
  {
    name: 'http/router.ts knows no connect',
    why: 'a protocol joins or leaves by one route, without touching those beside it',
    offences: (source) => (source.path === 'src/http/router.ts' ? reached(source).filter(isConnect) : []),
    offender: { path: 'src/http/router.ts', text: "import { Code } from '@connectrpc/connect';" },
  },
  {
    name: 'heavy modules load on first use',
    why: 'a command, a daemon or a library starts without what it may never need: import() stands before it',
    offences: (source) => (atStart.has(source.path) ? staticImports(source).filter((path) => HEAVY.test(path)) : []),
    offender: { path: 'src/cli/terminal/table.ts', text: "import sharp from 'sharp';" },
  },
  {
    name: 'node:http is got, not imported',
    why: 'an import reads all exports, of which some load the client behind `fetch`: 14 MB and 45 ms for nothing',
    offences: (source) => staticImports(source).filter((path) => path === 'node:http'),
    offender: { path: 'src/http/http1-server.ts', text: "import { createServer } from 'node:http';" },
  },
  {
    name: 'only daemon.ts builds concrete parts',
    why: 'what a daemon is made of is read in one place, and tests build the same; commands may open a store in process',
    offences: ({ path, text }) =>
      ['src/daemon.ts', 'src/storage/storage.ts'].includes(path) || partOf(path) === 'cli'
        ? []
        : (code(text).match(/(?<!\bfunction )\b(createStorage|openStorage|openListener)\(/g) ?? []),
    offender: { path: 'src/rpc/handler.ts', text: 'const storage = await createStorage(config);' },
  },
  {
    name: 'every file says first what it is responsible for',
    why: 'a reader decides by the first line whether this is the place',
    offences: ({ text }) => (/^(\/\*\*|\/\/)[\s*]+[^\s*]/.test(text) ? [] : [text.split('\n')[0] ?? '']),
    offender: { path: 'src/main.ts', text: "import { program } from './cli/program.ts';" },
  },
];

const root = fileURLToPath(new URL('..', import.meta.url));
const sources: Source[] = globSync('src/**/*.{ts,js}', { cwd: root }).map((path) => ({
  path: path.replaceAll('\\', '/'),
  text: readFileSync(`${root}/${path}`, 'utf8'),
}));

/** The files that are loaded before anything is done. */
const atStart = new Set(globSync(ENTRIES, { cwd: root }).map((path) => path.replaceAll('\\', '/')));
for (const path of atStart) {
  const source = sources.find((candidate) => candidate.path === path);
  for (const imported of source ? staticImports(source) : []) atStart.add(imported);
}

describe.each(rules)('$name', ({ why, offences, offender }) => {
  it('holds in src/', () => {
    const found = sources.flatMap((source) => offences(source).map((offence) => `${source.path}: ${offence}`));
    expect(found, why).toEqual([]);
  });

  it('would catch an offender', () => {
    expect(offences(offender)).not.toEqual([]);
  });
});

describe('no file imports itself, on whatever way', () => {
  it('holds in src/, type imports included', () => {
    expect(circles(sources), 'what stands in a circle is understood, moved and replaced only together').toEqual([]);
  });

  it('would catch an offender', () => {
    const circle: Source[] = [
      { path: 'src/storage/a.ts', text: "import type { B } from './lists/b.ts';" },
      { path: 'src/storage/lists/b.ts', text: "import { c } from '../c.ts';" },
      { path: 'src/storage/c.ts', text: "export type { A } from './a.ts';" },
      { path: 'src/storage/d.ts', text: "import { c } from './c.ts';" },
    ];
    expect(circles(circle)).toEqual([['src/storage/a.ts', 'src/storage/c.ts', 'src/storage/lists/b.ts']]);
  });
});

it('reads every form of import', () => {
  const text = [
    "import './a.ts';",
    "import type { B } from '../b.ts';",
    "export * from './c.ts';",
    "import {\n  d,\n} from './d.ts';",
    "const e = await import('./e.ts');",
    "const f = new URL('./f.ts', import.meta.url);",
    "/** import './not-this.ts' */",
  ].join('\n');
  const expected = ['src/rpc/a.ts', 'src/b.ts', 'src/rpc/c.ts', 'src/rpc/d.ts', 'src/rpc/e.ts', 'src/rpc/f.ts'];
  expect(imports({ path: 'src/rpc/x.ts', text })).toEqual(expected);
  expect(staticImports({ path: 'src/rpc/x.ts', text })).toEqual(['src/rpc/a.ts', 'src/rpc/c.ts', 'src/rpc/d.ts']);
});

describe('what docs say of the tree', () => {
  it.each(['docs/architecture.md', 'docs/adding-a-provider.md'])('%s names only paths that exist', (page) => {
    expect(missingPaths(readFileSync(`${root}/${page}`, 'utf8'))).toEqual([]);
  });

  it('would catch a path that was moved', () => {
    const text =
      'In `src/storage/`, `test/support/*.ts`, `src/storage/upload.ts` and `store.ts`, not in `staging/<filename>.part`.';
    expect(missingPaths(text)).toEqual(['src/storage/upload.ts', 'store.ts']);
  });

  it('docs/architecture.md has the table of rooms', () => {
    const table = roomTable(readFileSync(`${root}/docs/architecture.md`, 'utf8'));
    const expected = Object.entries(ROOM_MAY_IMPORT).map(([room, others]) => [room, [...others].sort()]);
    expect(table).toEqual(Object.fromEntries(expected));
  });
});

/** Returns the paths and globs in backticks that match no file of the project. */
function missingPaths(page: string): string[] {
  const quoted = [...page.matchAll(/`([^`\s<>]+)`/g)].map(([, text]) => text!);
  const paths = quoted.filter((text) =>
    /^(bench|bin|clients|docs|examples|gen|proto|scripts|src|test)\/|\.ts$/.test(text),
  );
  return paths.filter((path) => globSync(path, { cwd: root }).length === 0);
}

/** Reads the rows `| room | holds | may import |`: the imports of each room, sorted. */
function roomTable(page: string): Record<string, string[]> {
  const table: Record<string, string[]> = {};
  for (const [, room, allowed] of page.matchAll(/^\| `([a-z0-9]+)` +\|.*\| ([^|]+) \|$/gm)) {
    const named = [...allowed!.matchAll(/`([a-z0-9]+)`/g)].map(([, other]) => other!);
    const others = allowed!.startsWith('all above')
      ? Object.keys(table).filter((above) => !named.includes(above))
      : named;
    table[room!] = others.sort();
  }
  return table;
}

/** `src/rpc/routes.ts` → `rpc`, `src/daemon.ts` → `daemon`. */
function partOf(path: string): string {
  return path.split('/')[1]!.replace(/\.ts$/, '');
}

function mayImport(part: string, other: string): boolean {
  return other === part || (MAY_IMPORT[part]?.includes(other) ?? false);
}

/** `src/storage/local/open.ts` → `local`, `src/storage/types.ts` → `types`; undefined outside the store. */
function roomOf(path: string): string | undefined {
  return /^src\/storage\/([\w-]+)/.exec(path)?.[1];
}

function mayEnter(room: string, other: string): boolean {
  return other === room || (ROOM_MAY_IMPORT[room]?.includes(other) ?? false);
}

/** The parts of `src/` that a file imports. */
function importedParts(source: Source): string[] {
  return imports(source)
    .filter((path) => path.startsWith('src/'))
    .map(partOf);
}

/** What a file imports: package names, and paths from the root of the project. */
function imports(source: Source): string[] {
  return specifiers(source, /(?:\bfrom|\bimport|\bnew URL)\s*\(?\s*'([^']+)'/g);
}

/** What a file imports, itself or through others. */
function reached(source: Source): string[] {
  const found = new Set(imports(source));
  for (const path of found) {
    const next = sources.find((candidate) => candidate.path === path);
    for (const imported of next ? imports(next) : []) found.add(imported);
  }
  return [...found];
}

function isConnect(path: string): boolean {
  return path.startsWith('@connectrpc/');
}

/** What is loaded before the file runs: its imports without types and import(). */
function staticImports(source: Source): string[] {
  return specifiers(source, /^(?:import|export)\s+(?!type\b)(?:[^;']*?\bfrom\s*)?'([^']+)'/gm);
}

function specifiers({ path, text }: Source, pattern: RegExp): string[] {
  return [...code(text).matchAll(pattern)].map(([, specifier]) =>
    specifier!.startsWith('.') ? posix.join(posix.dirname(path), specifier!) : specifier!,
  );
}

/** The text without comments that have lines of their own, which may speak of anything. */
function code(text: string): string {
  return text.replace(/^\s*\/\*[\s\S]*?\*\//gm, '').replace(/^\s*\/\/.*$/gm, '');
}

/** The groups of files that reach each other by imports (Tarjan's strongly connected components), by path. */
function circles(files: readonly Source[]): string[][] {
  const imported = new Map(files.map((source) => [source.path, imports(source)]));
  const [order, lowest, open] = [new Map<string, number>(), new Map<string, number>(), [] as string[]];
  const found: string[][] = [];
  const visit = (path: string): number => {
    order.set(path, order.size);
    lowest.set(path, order.get(path)!);
    open.push(path);
    for (const other of imported.get(path)!.filter((candidate) => imported.has(candidate))) {
      const reached = order.has(other) ? order.get(other)! : visit(other);
      if (open.includes(other)) lowest.set(path, Math.min(lowest.get(path)!, lowest.get(other) ?? reached, reached));
    }
    if (lowest.get(path) === order.get(path)) {
      const group = open.splice(open.indexOf(path));
      if (group.length > 1 || imported.get(path)!.includes(path)) found.push(group.sort());
    }
    return lowest.get(path)!;
  };
  for (const { path } of files) if (!order.has(path)) visit(path);
  return found;
}
