/** The composition root: storage, services and listeners of one daemon, from its configuration to its end. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isLocalAddress, parseAddress } from './address.ts';
import type { TlsIdentity } from './auth/tls.ts';
import type { Config } from './config.ts';
import { collectDuring, collectWhenIdle } from './daemon/idle-memory.ts';
import { checkKeys, type Lock, openLock, openProxyWarning } from './daemon/lock.ts';
import { warnOfFewFiles } from './daemon/open-files.ts';
import { EXIT } from './exit-codes.ts';
import { admitAnybody, createAuthorize } from './http/authorize.ts';
import { answerNothing } from './http/errors.ts';
import { galleryFolder, galleryRoute } from './http/gallery.ts';
import { healthRoute, isHealthPath } from './http/health.ts';
import { checkHosts } from './http/hosts.ts';
import { imageApi } from './http/image-api.ts';
import { imageRoute, isImagePath } from './http/images.ts';
import { type Listener, type ListenerOptions, openListener } from './http/listener.ts';
import { metricsRoute, type Scrape } from './http/metrics.ts';
import { checkOrigins } from './http/origins.ts';
import { createPlainRoutes } from './http/plain-routes.ts';
import { createRouter, type HttpRequest, type Target, targetOf } from './http/router.ts';
import { prolongSessions, sessionRoutes } from './http/session.ts';
import { signRoute } from './http/sign.ts';
import { zipRoute } from './http/zip.ts';
import { createPreviews, type Previews } from './previews/previews.ts';
import { createGate, type Gate, isKnownTo } from './rpc/gate.ts';
import { createHandlers } from './rpc/handler.ts';
import { isHealthCall } from './rpc/health.ts';
import { createCallMemory } from './rpc/memory.ts';
import { createRawHandler, type RawHandler } from './rpc/raw/handler.ts';
import type { ServiceOptions } from './rpc/services.ts';
import type { OnLocked } from './storage/domain/lock-holder.ts';
import type { Logger } from './storage/domain/logger.ts';
import { providerTypeOf } from './storage/factory.ts';
import { createStorage } from './storage/index.ts';
import { createMetrics, type Metrics } from './telemetry/metrics.ts';

/** The grace for operations that still run after the drain; their callers have left. */
const CLOSE_GRACE_MS = 2_000;

export interface Daemon {
  /** `host:port`, `[v6]:port` or `unix:PATH`, with the actual port. */
  readonly addresses: readonly string[];
  /** The same of `opsListen`. */
  readonly opsAddresses: readonly string[];
  /** Whether it serves the gallery, which a checkout may not have built. */
  readonly hasGallery: boolean;
  /**
   * Says NOT_SERVING and still accepts for `shutdownDelaySeconds`. Then stops accepting, lets calls finish within the
   * grace, cuts the rest, and closes the storage. Idempotent.
   */
  close(): Promise<void>;
}

export interface DaemonOptions {
  /** Called when the store must stop; the process should exit with this code. */
  onFatal?: (exitCode: number) => void;
  /** How its program is called, which the gallery tells its readers; default `image-storage`. */
  command?: string;
  /** Called with the place of each store that the start made. */
  onNewStore?: (place: string) => void;
  /** Default: waits for the other process. */
  onLocked?: OnLocked;
  /** Whether Save and Get are served on the raw streams; default true. Else, connect serves them, too. */
  raw?: boolean;
}

/** Starts a daemon. Rejects with a StoreOpenError, or when it cannot listen on an address; nothing stays open then. */
export async function startDaemon(config: Config, log: Logger, options: DaemonOptions = {}): Promise<Daemon> {
  const leaving = new AbortController();
  const shutdown = new AbortController();
  const onFatal = (error: Error) => {
    log.error({ err: error }, 'the store must not go on');
    leaving.abort();
    shutdown.abort();
    options.onFatal?.(EXIT.IO);
  };
  warnOfFewFiles(config, log);
  let renew: (identity: TlsIdentity) => void = () => undefined;
  let storeId: () => string = () => '';
  const lock = await openLock(config, { log, renew: (identity) => renew(identity), storeId: () => storeId() });
  const { onNewStore, onLocked } = options;
  const metrics = createMetrics();
  const { meterOfProvider: meterOf } = metrics;
  const dependencies = { log, onFatal, onNewStore, onLocked, closeGraceMs: CLOSE_GRACE_MS, meterOf };
  const opened = await collectDuring(createStorage(config, dependencies)).catch((error) => {
    lock.close();
    throw error;
  });
  const previews = createPreviews(opened, config.previews, { log, meter: metrics.previews });
  const { storage } = previews;
  storeId = () => storage.storeId();
  let listeners: Listeners;
  try {
    checkKeys(lock, config);
    const signals = { leaving: leaving.signal, shutdown: shutdown.signal };
    const given = { storage, lock, metrics, previews, ...signals };
    listeners = await listen(config, log, createParts(config, log, given, options));
  } catch (error) {
    lock.close();
    await previews.close();
    await storage.close();
    throw error;
  }
  const { main, ops } = listeners;
  const { addresses } = main;
  renew = main.renew;
  log.info({ addresses, ...(ops && { opsAddresses: ops.addresses }), stores: storesOf(config) }, 'listening');
  collectWhenIdle(shutdown.signal);
  const close = async () => {
    leaving.abort();
    if (config.shutdownDelaySeconds > 0) await sleep(config.shutdownDelaySeconds * 1000);
    shutdown.abort();
    await main.close(config.shutdownGraceSeconds * 1000);
    await ops?.close(0);
    await previews.close();
    lock.close();
    await storage.close();
    log.info({}, 'closed');
  };
  let closed: Promise<void> | undefined;
  const hasGallery = galleryFolder() !== undefined;
  return { addresses, opsAddresses: ops?.addresses ?? [], hasGallery, close: () => (closed ??= close()) };
}

/** Where the images of each provider go. */
function storesOf({ providers }: Config): Record<string, string> {
  const places = Object.entries(providers).map(([name, each]) => [name, providerTypeOf(each)!.where(each)]);
  return Object.fromEntries(places);
}

/** The listener of every protocol, and that of probes, which answers as long as any call runs. */
interface Listeners {
  main: Listener;
  ops: Listener | undefined;
}

async function listen(config: Config, log: Logger, parts: Parts): Promise<Listeners> {
  const ops = config.opsListen.length === 0 ? undefined : await openListener(opsOptions(config, log, parts));
  try {
    return { main: await openListener(mainOptions(config, log, parts)), ops };
  } catch (error) {
    await ops?.close(0);
    throw error;
  }
}

/** What the listeners serve. */
interface Parts {
  services: ServiceOptions;
  lock: Lock;
  gate: Gate;
  rpcs: ReturnType<typeof createHandlers>;
  raw: RawHandler | undefined;
  scrape: Scrape;
  metrics: Metrics;
  previews: Previews;
  command: string;
}

type Given = Pick<ServiceOptions, 'storage' | 'leaving' | 'shutdown'> & Pick<Parts, 'lock' | 'metrics' | 'previews'>;

function createParts(
  config: Config,
  log: Logger,
  { lock, metrics, previews, ...given }: Given,
  { raw = true, command = 'image-storage' }: DaemonOptions,
): Parts {
  const { limits, defaultProvider, maxMetadataBytes } = { ...config, ...config.limits };
  const firstMessageMs = limits.firstMessageSeconds * 1000;
  const services = {
    // Less than a first message may take: a call that waits for memory is told so before it counts as silent.
    memory: createCallMemory(firstMessageMs * 0.9),
    defaultProvider,
    // A daemon that other machines reach does not describe itself to whoever is not asked for a token.
    reflection: lock.access.isLocked || config.listen.every((address) => isLocalAddress(parseAddress(address)!)),
    ...given,
    maxMetadataBytes,
    save: {
      maxChunkBytes: limits.maxChunkBytes,
      firstMessageMs,
      chunkGapMs: limits.chunkGapSeconds * 1000,
      saveMs: limits.saveSeconds * 1000,
    },
  };
  const gate = createGate(lock.access);
  const observer = { logsAccess: config.log.access, meterOf: metrics.meterOfMethod };
  const handling = { log, gate, requestMs: firstMessageMs, ...observer };
  return {
    services,
    lock,
    gate,
    rpcs: createHandlers(services, handling),
    raw: raw ? createRawHandler(services, handling) : undefined,
    scrape: metrics.createScrape(given.storage),
    metrics,
    previews,
    command,
  };
}

function mainOptions(config: Config, log: Logger, parts: Parts): ListenerOptions {
  const { services, lock, gate, rpcs, raw, scrape, metrics, previews, command } = parts;
  const { publicUrl, http } = config;
  const { access } = lock;
  const prefix = publicUrl === '' ? '' : new URL(publicUrl).pathname.replace(/\/$/, '');
  const page = { access, prefix, about: () => ({ command, previews: previews.state }) };
  const folder = galleryFolder();
  const gallery = folder === undefined ? [] : [galleryRoute(folder, prefix)];
  const routes = createPlainRoutes({
    routes: [
      imageRoute({ ...services, maxAgeSeconds: http.cacheMaxAge, previews }),
      ...imageApi(services),
      ...sessionRoutes(page),
      signRoute({ ...services, publicUrl, links: access.links, requestMs: services.save.firstMessageMs }),
      zipRoute({ ...services, formMs: services.save.firstMessageMs, log }),
      metricsRoute(scrape),
    ],
    authorize: createAuthorize(gate, openProxyWarning(config, log)),
    log,
    logsAccess: config.log.access,
    meterOf: metrics.meterOfRoute,
  });
  const router = createRouter({
    routes: [({ path }) => rpcs.get(path), healthRoute(services), ...gallery, routes],
    otherwise: answerNothing,
    prefix,
  });
  const isKept = (request: HttpRequest) => isImagePath(targetOf(request, prefix).path);
  const origins = {
    ...http,
    publicUrl,
    hasTokens: access.hasTokens,
    countsToken: ({ headers }: HttpRequest) => access.countsToken(headers.authorization),
    isLink: (request: HttpRequest) => access.isLink(targetOf(request, prefix)),
  };
  const guarded = checkHosts(checkOrigins(prolongSessions(router, isKept, page), origins), {
    ...http,
    publicUrl,
    isOpen: isHealthPath,
    isKnown: (request, caller) => isKnownTo(access, request.headers, caller, targetOf(request, prefix)),
  });
  const tls = lock.tls?.current;
  return { ...listenerOptions(config, log, config.listen), tls, onStream: raw, onRequest: guarded };
}

/** Nothing but health and metrics, for anybody. */
function opsOptions(config: Config, log: Logger, { services, rpcs, scrape }: Parts): ListenerOptions {
  const routes = [
    healthRoute(services),
    ({ path }: Target) => (isHealthCall(path) ? rpcs.get(path) : undefined),
    createPlainRoutes({ routes: [metricsRoute(scrape)], authorize: admitAnybody, log }),
  ];
  const onRequest = createRouter({ routes, otherwise: answerNothing });
  return { ...listenerOptions(config, log, config.opsListen), onRequest };
}

function listenerOptions(config: Config, log: Logger, addresses: string[]): Omit<ListenerOptions, 'onRequest'> {
  const { maxStreams, maxConnections, receiveBufferBytes, firstMessageSeconds } = config.limits;
  return {
    addresses: addresses.map((address) => parseAddress(address)!),
    socketMode: Number.parseInt(config.socketMode, 8),
    maxStreams,
    maxConnections,
    trustedProxies: config.http.trustedProxies,
    receiveBufferBytes,
    prefaceMs: firstMessageSeconds * 1000,
    log,
  };
}
