/** Refuses requests under a foreign name: a page that has its own name point at this machine could read everything. */
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { isGrpc } from '../rpc/packing.ts';
import type { Caller } from '../storage/domain/caller.ts';
import { sendProblem } from './errors.ts';
import { type Handler, type HttpRequest, hostOfUrl, targetOf } from './router.ts';

export interface HostOptions {
  /** Whose host is ours; empty: none. */
  publicUrl: string;
  /** Further ones. */
  allowedHosts: readonly string[];
  /** Whether a path is served under any name. */
  isOpen(path: string): boolean;
  /** Whether the daemon knows the caller by its token or certificate, which no page of another name has. */
  isKnown(request: HttpRequest, caller: Caller): boolean;
}

/** Hands on what names one of our hosts, or none. The authority of gRPC over HTTP/2 is free; no page can send such. */
export function checkHosts(next: Handler, { publicUrl, allowedHosts, isOpen, isKnown }: HostOptions): Handler {
  const own = ownNames(publicUrl, allowedHosts);
  const isOurs = (host: string) => own.has(host) || isIP(host) !== 0 || host === '' || host.endsWith('.localhost');
  return (request, response, caller) => {
    const foreign = hostsOf(request).find((host) => !isOurs(nameOf(host)));
    const isFree = foreign === undefined || isGrpcOverHttp2(request) || isOpen(targetOf(request).path);
    if (isFree || isKnown(request, caller)) {
      next(request, response, caller);
      return;
    }
    const message = `"${foreign.slice(0, 255)}" is none of the hosts of this daemon: add it to http.allowedHosts (IMAGE_STORAGE_HTTP_ALLOWED_HOSTS)`;
    sendProblem(response, { status: 403, code: 'permission_denied', reason: 'HOST_NOT_ALLOWED', message });
  };
}

function ownNames(publicUrl: string, allowedHosts: readonly string[]): Set<string> {
  const machine = hostname()
    .toLowerCase()
    .replace(/\.local$/, '');
  const published = publicUrl === '' ? [] : [new URL(publicUrl).host];
  const names = ['localhost', machine, `${machine}.local`, ...published, ...allowedHosts];
  return new Set(names.map(nameOf));
}

/** A request may name its host in the header, in its URL, or in both. */
function hostsOf(request: HttpRequest): string[] {
  const { host, ':authority': authority } = request.headers;
  return [hostOfUrl(request), host, authority].filter((name) => typeof name === 'string');
}

/** Without the port, the brackets of IPv6 and the dot of the root. */
export function nameOf(host: string): string {
  const [, v6, name = ''] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host.trim()) ?? [];
  if (v6 !== undefined) return v6;
  return (name || host).toLowerCase().replace(/\.$/, '');
}

function isGrpcOverHttp2({ httpVersionMajor, headers }: HttpRequest): boolean {
  return httpVersionMajor === 2 && isGrpc(headers['content-type']);
}
