/** Examines the daemon that answers at our addresses: whether it serves what this configuration names. */
import { stat } from 'node:fs/promises';
import type { ImageStorageClient } from '../../client.ts';
import type { Config } from '../../config.ts';
import type { ProviderCheck } from '../../storage/doctor/doctor.ts';
import { providerTypeOf } from '../../storage/factory.ts';
import { servingAddress } from '../shared/running-daemon.ts';
import { countOf } from '../terminal/text.ts';

const DEADLINE_MS = 5_000;
/** gRPC's UNAUTHENTICATED and PERMISSION_DENIED; grpc-js is loaded only where a daemon answers. */
const REFUSED: readonly unknown[] = [7, 16];

/** Yields a check for each provider of the configuration, or one that says why there is none. */
export async function* examineDaemon(config: Config, only?: string): AsyncGenerator<ProviderCheck> {
  const names = Object.keys(config.providers).filter((name) => only === undefined || name === only);
  const about = (provider: string, verdict: ProviderCheck['verdict'], message: string): ProviderCheck => {
    return { provider, name: 'daemon', verdict, message };
  };
  const address = await servingAddress(config);
  if (address === undefined) {
    yield about(names[0]!, 'skipped', `no daemon serves on ${config.listen.join(', ')}`);
    return;
  }
  // Loaded here: most doctors find no daemon.
  const { connect } = await import('../../client.ts');
  const client = connect(address, { retries: 0, deadlineMs: DEADLINE_MS });
  try {
    for (const name of names) {
      const [verdict, message] = await compare(client, config, name);
      yield about(name, verdict, `the one that serves on ${address} ${message}`);
    }
  } finally {
    client.close();
  }
}

/** Where its images are is known by one of them. */
async function compare(
  client: ImageStorageClient,
  { providers }: Config,
  name: string,
): Promise<[ProviderCheck['verdict'], string]> {
  const configured = providerTypeOf(providers[name]!)!.where(providers[name]!);
  try {
    const [stats] = await client.stats(name);
    const images = countOf(stats?.count ?? 0, 'image');
    for await (const { path, key } of client.list({ provider: name, view: 'row', limit: 1 })) {
      if (path === '') continue;
      const folder = path.slice(0, -key.replace(/^outputs/, '').length);
      const isSame = await isSameFolder(folder, configured);
      if (isSame === undefined) return ['note', `has ${images} in ${folder}, which is not to be seen from here`];
      if (!isSame) return ['failed', `has ${images} in ${folder}, not in ${configured}`];
    }
    return ['ok', `has ${images} in "${name}"`];
  } catch (error) {
    const { code, reason, message } = error as { code?: number; reason?: string; message: string };
    if (reason === 'PROVIDER_NOT_FOUND') return ['failed', `has no provider "${name}": it has another configuration`];
    if (REFUSED.includes(code)) return ['note', 'wants a token: set IMAGE_STORAGE_TOKEN to see what it serves'];
    return ['note', `does not say what it serves: ${message}`];
  }
}

/** Undefined where the daemon's folder is not to be seen, such as that of a container. */
async function isSameFolder(folder: string, configured: string): Promise<boolean | undefined> {
  if (folder === configured) return true;
  const [theirs, ours] = await Promise.all([folder, configured].map(inodeOf));
  return theirs === undefined ? undefined : theirs === ours;
}

function inodeOf(folder: string): Promise<string | undefined> {
  return stat(folder, { bigint: true }).then(
    ({ dev, ino }) => `${dev}:${ino}`,
    () => undefined,
  );
}
