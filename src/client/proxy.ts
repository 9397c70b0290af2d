/** Explains an HTTP status in place of a gRPC answer: a proxy in front of the daemon gave it. */

/** Of each status: what it means, and what to look at in nginx. docs/clients.md has the same table. */
const MEANING_OF_STATUS: Record<number, string> = {
  401: 'it asks for credentials; in nginx, check auth_basic and auth_request',
  403: 'it refuses this client; in nginx, check allow and deny',
  404: 'it does not know this call; in nginx, check the location of grpc_pass; with no proxy, the daemon is too old',
  408: 'the request took too long to arrive; in nginx, raise client_body_timeout',
  413: 'the request is too large for it; in nginx, raise client_max_body_size',
  429: 'it limits calls; in nginx, check limit_req and limit_conn',
  502: 'it cannot reach the daemon; in nginx, check grpc_pass, and that the daemon runs',
  503: 'it has no daemon for the call, or limits calls; in nginx, check upstream, limit_req and limit_conn',
  504: 'the daemon took too long for it; in nginx, raise grpc_read_timeout and grpc_send_timeout',
};

/** The text of grpc-js, which gives the status nowhere else. */
const TEXT = /^Received HTTP status code (\d{3})$/;

/** Returns the HTTP status in the text of grpc-js for a call without a gRPC answer; undefined where there is none. */
export function httpStatusIn(text: string): number | undefined {
  const [, status] = TEXT.exec(text) ?? [];
  return status === undefined ? undefined : Number(status);
}

export function explainHttpStatus(status: number): string {
  const meaning = MEANING_OF_STATUS[status] ?? 'its log says why';
  return `HTTP ${status} instead of a gRPC answer, likely from a proxy: ${meaning}`;
}
