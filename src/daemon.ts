/** The composition root: storage, services and listeners of one daemon, from its configuration to its end. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isLocalAddress, parseAddress } from './address.ts';
import type { Config } from './config.ts';
import { collectDuring, collectWhenIdle } from './daemon/idle-memory.ts';
import { warnOfFewFiles } from './daemon/open-files.ts';
import { EXIT } from './exit-codes.ts';
import { imageRoute } from './http/images.ts';
import { type Listener, openListener } from './http/listener.ts';
import { createPlainRoutes } from './http/plain-routes.ts';
import { createRouter } from './http/router.ts';
import { createHandlers } from './rpc/handler.ts';
import { createCallMemory } from './rpc/memory.ts';
import { createRawHandler } from './rpc/raw/handler.ts';
import type { ServiceOptions } from './rpc/services.ts';
import type { Logger } from './storage/domain/logger.ts';
import { createStorage } from './storage/index.ts';
import type { Storage } from './storage/types.ts';

/** The grace for operations that still run after the drain; their callers have left. */
const CLOSE_GRACE_MS = 2_000;

export interface Daemon {
  /** `host:port`, `[v6]:port` or `unix:PATH`, with the actual port. */
  readonly addresses: readonly string[];
  /**
   * Says NOT_SERVING and still accepts for `shutdownDelaySeconds`. Then stops accepting, lets calls finish within the
   * grace, cuts the rest, and closes the storage. Idempotent.
   */
  close(): Promise<void>;
}

export interface DaemonOptions {
  /** Called when the store must stop; the process should exit with this code. */
  onFatal?: (exitCode: number) => void;
  /** Called with the place of each store that the start made. */
  onNewStore?: (place: string) => void;
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
  const { onNewStore } = options;
  const dependencies = { log, onFatal, onNewStore, closeGraceMs: CLOSE_GRACE_MS };
  const storage = await collectDuring(createStorage(config, dependencies));
  let listener: Listener;
  try {
    listener = await listen(config, log, storage, { leaving: leaving.signal, shutdown: shutdown.signal }, options.raw);
  } catch (error) {
    await storage.close();
    throw error;
  }
  log.info({ addresses: listener.addresses }, 'listening');
  collectWhenIdle(shutdown.signal);
  const close = async () => {
    leaving.abort();
    if (config.shutdownDelaySeconds > 0) await sleep(config.shutdownDelaySeconds * 1000);
    shutdown.abort();
    await listener.close(config.shutdownGraceSeconds * 1000);
    await storage.close();
    log.info({}, 'closed');
  };
  let closed: Promise<void> | undefined;
  return { addresses: listener.addresses, close: () => (closed ??= close()) };
}

function listen(
  config: Config,
  log: Logger,
  storage: Storage,
  signals: Pick<ServiceOptions, 'leaving' | 'shutdown'>,
  raw = true,
): Promise<Listener> {
  const { limits, defaultProvider } = config;
  const addresses = config.listen.map((address) => parseAddress(address)!);
  const firstMessageMs = limits.firstMessageSeconds * 1000;
  const services = {
    storage,
    // Less than a first message may take: a call that waits for memory is told so before it counts as silent.
    memory: createCallMemory(firstMessageMs * 0.9),
    defaultProvider,
    // A daemon that other machines reach does not describe itself to them.
    reflection: addresses.every(isLocalAddress),
    ...signals,
    maxMetadataBytes: limits.maxMetadataBytes,
    save: {
      maxChunkBytes: limits.maxChunkBytes,
      firstMessageMs,
      chunkGapMs: limits.chunkGapSeconds * 1000,
      saveMs: limits.saveSeconds * 1000,
    },
  };
  const handling = { log, requestMs: firstMessageMs };
  const rpcs = createHandlers(services, handling);
  return openListener({
    addresses,
    socketMode: Number.parseInt(config.socketMode, 8),
    maxStreams: limits.maxStreams,
    maxConnections: limits.maxConnections,
    receiveBufferBytes: limits.receiveBufferBytes,
    prefaceMs: firstMessageMs,
    log,
    onStream: raw ? createRawHandler(services, handling) : undefined,
    onRequest: createRouter([
      ({ path }) => rpcs.get(path),
      createPlainRoutes({
        routes: [imageRoute({ storage, memory: services.memory, defaultProvider, maxAgeSeconds: 31_536_000 })],
        prefix: '',
        log,
      }),
    ]),
  });
}
