/** Shares one budget of receive buffers among all HTTP/2 streams: the more are open, the smaller the window of each. */
import type { Http2Server, ServerHttp2Session } from 'node:http2';

const MIN_WINDOW_BYTES = 64 * 1024;
/** A larger one makes a single sender no faster. */
const MAX_WINDOW_BYTES = 2 * 1024 * 1024;
/** Memory that an unread byte costs: the buffer that it was read into, and garbage that is not yet collected. */
const COST_OF_A_BYTE = 8;

export interface ReceiveWindows {
  /** Keeps the windows of a server's streams within the budget; called before the server listens. */
  govern(server: Http2Server): void;
}

/**
 * A stream buffers up to its window unread; the window of the connection bounds nothing, since Node opens it again at
 * once. Each stream has a share, and each connection has one for the stream that it opens next. The number of shares is
 * a power of two and falls only when three quarters are unused, so that clients do not get settings for every stream
 * that comes and goes.
 */
export function createReceiveWindows(budgetBytes: number): ReceiveWindows {
  const servers: Http2Server[] = [];
  const sessions = new Set<ServerHttp2Session>();
  let streams = 0;
  let shares = 1;

  function windowBytes(): number {
    const share = Math.floor(budgetBytes / COST_OF_A_BYTE / shares);
    return Math.min(MAX_WINDOW_BYTES, Math.max(MIN_WINDOW_BYTES, share));
  }

  /**
   * Sends one SETTINGS frame at a time: Node cuts a connection that leaves ten unanswered, as a client that pauses does.
   * A session that was torn down refuses settings, and its streams end before it emits `close`.
   */
  function announce(session: ServerHttp2Session): void {
    if (session.closed || session.destroyed || session.pendingSettingsAck) return;
    session.settings({ initialWindowSize: windowBytes() });
  }

  function adjust(): void {
    const before = windowBytes();
    const wanted = Math.max(streams, sessions.size);
    while (shares < wanted) shares *= 2;
    while (shares > 1 && shares > wanted * 4) shares /= 2;
    const initialWindowSize = windowBytes();
    if (initialWindowSize === before) return;
    for (const server of servers) server.updateSettings({ initialWindowSize });
    for (const session of sessions) announce(session);
  }

  return {
    govern(server) {
      servers.push(server);
      server.updateSettings({ initialWindowSize: windowBytes() });
      server.on('session', (session) => {
        sessions.add(session);
        session.on('localSettings', ({ initialWindowSize }) => {
          if (initialWindowSize !== windowBytes()) announce(session);
        });
        adjust();
        session.once('close', () => {
          sessions.delete(session);
          adjust();
        });
      });
      server.on('stream', (stream) => {
        streams++;
        adjust();
        stream.once('close', () => {
          streams--;
          adjust();
        });
      });
    },
  };
}
