/** Closes a stream once its answer is out. */
import { constants, type ServerHttp2Stream } from 'node:http2';

const TRAILERS_PAUSE_MS = 10;
const LONGEST_TRAILERS_PAUSE_MS = 1_000;

/** Node keeps a stream until the client has half-closed and all of it is read; a client with its answer may do neither. */
export function closeWhenAnswered(stream: ServerHttp2Stream): void {
  stream.once('wantTrailers', () => closeAnswered(stream));
}

/** The same for a stream whose trailers are wanted, and sent next. */
export function closeAnswered(stream: ServerHttp2Stream): void {
  const close = (pauseMs: number) => {
    if (stream.destroyed) return;
    // A reset drops trailers that still wait for a full socket, and no event says when they are out.
    if (isUnderWay(stream)) {
      setTimeout(close, pauseMs, Math.min(pauseMs * 2, LONGEST_TRAILERS_PAUSE_MS));
      return;
    }
    stream.close(constants.NGHTTP2_NO_ERROR);
    stream.destroy();
  };
  setImmediate(close, TRAILERS_PAUSE_MS);
}

/** A stream that is closed on both sides reports the state idle. */
function isUnderWay({ state }: ServerHttp2Stream): boolean {
  return state.state !== constants.NGHTTP2_STREAM_STATE_IDLE && state.localClose === 0;
}
