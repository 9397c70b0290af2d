/** The Kubernetes example: its manifests are valid, fit each other and the daemon, and every path goes to its port. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ServerReflection } from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import { ServerReflection as ServerReflectionAlpha } from '../../gen/grpc/reflection/v1alpha/reflection_pb.ts';
import { Health } from '../../gen/health/v1/health_pb.ts';
import { ImageStorage } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import { Maintenance } from '../../gen/imagestorage/v1/maintenance_pb.ts';
import { newUrlKey } from '../../src/auth/signed-url.ts';
import { newToken, tokenLine } from '../../src/auth/tokens.ts';
import { loadConfig } from '../../src/config.ts';
import {
  type Check,
  KUBERNETES_VERSIONS,
  type Manifest,
  manifestsIn,
  openSchemas,
  schemasAvailable,
} from '../support/kubernetes.ts';
import { requires } from '../support/requires.ts';

const FILES = ['generator', 'service', 'route'];
const manifests: Manifest[] = FILES.flatMap((name) => manifestsIn(`examples/kubernetes/${name}.yaml`));
const fleet: Manifest[] = ['daemons', 'service'].flatMap((name) =>
  manifestsIn(`examples/kubernetes/fleet/${name}.yaml`),
);
const ofKind = (kind: string) => manifests.find((manifest) => manifest.kind === kind);
const { spec: pod, metadata } = ofKind('Deployment').spec.template;
const [sidecar] = pod.initContainers;
const [generator] = pod.containers;
const env: Record<string, string> = Object.fromEntries(
  sidecar.env.map(({ name, value }: { name: string; value: string }) => [name, value]),
);
const portOf = (address: string) => Number(address.slice(address.lastIndexOf(':') + 1));

requires('pip and Go, which bring the schemas', schemasAvailable)('the manifests', () => {
  describe.each(KUBERNETES_VERSIONS)('of Kubernetes %s', (version) => {
    let check: Check;
    beforeAll(async () => {
      check = await openSchemas(version);
    }, 600_000);

    it.each([...manifests, ...fleet].map((manifest) => [manifest.kind, manifest]))('%s is valid', (_kind, manifest) => {
      expect(check(manifest)).toEqual([]);
      expect(check({ ...manifest, spec: { ...manifest.spec, unknown: 1 } })).not.toEqual([]);
    });
  });
});

describe('the sidecar', () => {
  it('has settings of the daemon, and may be reached from outside of the pod', () => {
    const config = loadConfig({ flags: {}, env: { ...env, IMAGE_STORAGE_AUTH_TOKENS_FILE: '/dev/null' } });
    expect(config).toMatchObject({
      listen: ['0.0.0.0:50051'],
      opsListen: ['0.0.0.0:9090'],
      publicUrl: `https://${ofKind('HTTPRoute').spec.hostnames[0]}`,
      insecure: false,
    });
    expect(env.IMAGE_STORAGE_AUTH_TOKENS_FILE).toBe(`${mountOf(sidecar, 'tokens').mountPath}/tokens`);
  });

  it('is one, is probed where nobody is asked for a token, and has the time that it needs', () => {
    expect(sidecar.restartPolicy).toBe('Always');
    const probes = ['startupProbe', 'readinessProbe', 'livenessProbe'].map((name) => sidecar[name]);
    const probed = probes.map(({ grpc, httpGet }) => (grpc ?? httpGet).port);
    expect(new Set(probed)).toEqual(new Set([portOf(env.IMAGE_STORAGE_OPS_LISTEN!)]));
    const { shutdownDelaySeconds, shutdownGraceSeconds } = loadConfig({ flags: {}, env });
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(
      60 + shutdownDelaySeconds + shutdownGraceSeconds + 5,
    );
  });

  it('shares its images with the generator at the same path, to read', () => {
    expect(mountOf(generator, 'outputs')).toEqual({ ...mountOf(sidecar, 'outputs'), readOnly: true });
    const mounted = [sidecar, generator].flatMap(({ volumeMounts }) => volumeMounts.map(nameOf));
    expect(new Set(mounted)).toEqual(new Set(pod.volumes.map(nameOf)));
    const address = generator.env.find(({ name }: { name: string }) => name === 'IMAGE_STORAGE_ADDRESS').value;
    expect(portOf(address)).toBe(portOf(env.IMAGE_STORAGE_LISTEN!));
  });

  it('is the image of this version', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    expect(sidecar.image).toBe(`ghcr.io/imagestorage/imagestorage:${version.split('.', 2).join('.')}`);
  });
});

describe('a fleet', () => {
  const ofFleet = (kind: string, name = 'image-storage') =>
    fleet.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
  const { template, replicas } = ofFleet('Deployment').spec;
  const [daemon] = template.spec.containers;
  const folder = mkdtempSync(join(tmpdir(), 'image-storage-fleet-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const { mountPath } = mountOf(daemon, 'secrets');
  const settings: Record<string, string> = Object.fromEntries(
    daemon.env.map(({ name, value }: { name: string; value: string }) => [name, value.replace(mountPath, folder)]),
  );
  const readme = readFileSync('examples/kubernetes/README.md', 'utf8');

  it('has settings of the daemon, all secrets in files of the secret that the README makes', () => {
    const files = Object.entries(settings).filter(([name]) => name.endsWith('_FILE'));
    const names = files.map(([, path]) => path.slice(folder.length + 1));
    const [, made] = /create secret generic image-storage-fleet (.*?)\nkubectl/s.exec(readme)!;
    expect(names.toSorted()).toEqual(
      [...made!.matchAll(/--from-(?:file|literal)=([\w-]+)/g)].map(([, name]) => name).toSorted(),
    );
    for (const [, path] of files) writeFileSync(path, 'x'.repeat(44));
    const index = 'postgres://images:secret@db.example.com/images?sslmode=verify-full';
    writeFileSync(join(folder, 'index'), index);
    writeFileSync(join(folder, 'url-keys'), newUrlKey());
    writeFileSync(join(folder, 'tokens'), tokenLine('generator', newToken(), ['read', 'write']));
    const config = loadConfig({ flags: {}, env: settings });
    expect(config).toMatchObject({
      listen: ['0.0.0.0:50051'],
      opsListen: ['0.0.0.0:9090'],
      publicUrl: `https://${ofKind('HTTPRoute').spec.hostnames[0]}`,
      providers: { s3: { index, bucket: 'my-images' } },
    });
    const { shutdownDelaySeconds, shutdownGraceSeconds } = config;
    expect(template.spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(
      shutdownDelaySeconds + shutdownGraceSeconds + 5,
    );
    const [state] = daemon.volumeMounts.filter(({ name }: { name: string }) => name === 'state');
    expect(settings.IMAGE_STORAGE_PROVIDERS_S3_STATE_DIR).toBe(`${state.mountPath}/state`);
    expect(daemon.image).toBe(sidecar.image);
  });

  it('grows with the saves in flight, by a metric that the adapter of the README offers', () => {
    const { scaleTargetRef, metrics, minReplicas } = ofFleet('HorizontalPodAutoscaler').spec;
    expect([scaleTargetRef.kind, scaleTargetRef.name, replicas]).toEqual(['Deployment', 'image-storage', undefined]);
    const [{ pods }] = metrics;
    const [, rule] = /```yaml\n(.*?)```/s.exec(readme)!;
    const [{ seriesQuery, metricsQuery }] = parse(rule!).rules;
    for (const query of [seriesQuery, metricsQuery]) expect(query).toContain(`${pods.metric.name}{`);
    const { maxSaves } = loadConfig({ flags: {}, env: {} }).limits;
    expect(Number(pods.target.averageValue)).toBe(maxSaves / 2);
    expect(minReplicas).toBeGreaterThan(ofFleet('PodDisruptionBudget').spec.maxUnavailable);
  });

  it('keeps what it selects together, and is found by the route', () => {
    const { labels } = template.metadata;
    for (const kind of ['PodDisruptionBudget', 'Deployment'])
      expect(ofFleet(kind).spec.selector.matchLabels).toEqual(labels);
    for (const name of ['image-storage', 'image-storage-each']) {
      const { selector, ports } = ofFleet('Service', name).spec;
      expect(selector).toEqual(labels);
      for (const { targetPort } of ports) expect(targetPort).toBe(portOf(settings.IMAGE_STORAGE_LISTEN!));
    }
    expect(ofFleet('Service').spec.ports).toEqual(ofKind('Service').spec.ports);
    const { name } = ofFleet('Service').metadata;
    for (const rule of ofKind('HTTPRoute').spec.rules) expect(rule.backendRefs[0].name).toBe(name);
  });

  it('asks for health and metrics where nobody is asked for a token', () => {
    const probes = ['startupProbe', 'readinessProbe', 'livenessProbe'].map((name) => daemon[name]);
    const ports = [
      ...probes.map(({ grpc, httpGet }) => (grpc ?? httpGet).port),
      Number(template.metadata.annotations['prometheus.io/port']),
    ];
    expect(new Set(ports)).toEqual(new Set([portOf(settings.IMAGE_STORAGE_OPS_LISTEN!)]));
  });
});

describe('the route', () => {
  const service = ofKind('Service');
  const services = [ImageStorage, Maintenance, Health, ServerReflection, ServerReflectionAlpha];
  const rpcs = services.flatMap(({ typeName, methods }) => methods.map(({ name }) => `/${typeName}/${name}`));
  const plain = ['/', '/images', '/images/a.png', '/outputs/images/generations/2026-01-01/m/a.png', '/readyz', '/sign'];

  /** Where a gateway sends a path: PathPrefix is compared by whole elements, and the longest one wins. */
  function portFor(path: string): Manifest {
    const rules: [prefix: string, port: number][] = ofKind('HTTPRoute').spec.rules.flatMap((rule: Manifest) =>
      rule.matches.map((match: Manifest) => [match.path.value, rule.backendRefs[0].port]),
    );
    const matching = rules.filter(([prefix]) => `${path}/`.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`));
    const [, port] = matching.sort(([a], [b]) => b.length - a.length)[0]!;
    return service.spec.ports.find((each: Manifest) => each.port === port);
  }

  it.each(rpcs)('sends %s to the port that speaks HTTP/2', (path) => {
    expect(portFor(path)).toMatchObject({ appProtocol: 'kubernetes.io/h2c', targetPort: 50051 });
  });

  it.each(plain)('sends %s to the other', (path) => {
    expect(portFor(path)).toMatchObject({ appProtocol: 'http', targetPort: 50051 });
  });

  it('finds the pod and its port', () => {
    expect(metadata.labels).toMatchObject(service.spec.selector);
    expect(ofKind('HTTPRoute').spec.rules.map((rule: Manifest) => rule.backendRefs[0].name)).toEqual([
      service.metadata.name,
      service.metadata.name,
    ]);
    for (const { targetPort } of service.spec.ports) expect(targetPort).toBe(portOf(env.IMAGE_STORAGE_LISTEN!));
  });
});

const nameOf = ({ name }: { name: string }) => name;

function mountOf(container: Manifest, volume: string): Manifest {
  return container.volumeMounts.find(({ name }: { name: string }) => name === volume);
}
