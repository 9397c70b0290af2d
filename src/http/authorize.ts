/** Decides whether a request may do what a route does. */
import type { Scope } from '../auth/scope.ts';
import type { Gate } from '../rpc/gate.ts';
import type { Caller } from '../storage/domain/caller.ts';
import type { HttpRequest } from './router.ts';

export type { Scope };

/** What a caller who may do it gets. */
export interface Grant {
  /** Under the name of its token or certificate. */
  caller: Caller;
  /** How long caches that are shared may keep an image, in seconds; unset: they may not. */
  publicSeconds?: number;
  /** The origin of another page that may read the answer. */
  corsOrigin?: string;
}

/** Throws a StorageError that says why not. */
export type Authorize = (request: HttpRequest, scope: Scope, caller: Caller) => Grant;

export function createAuthorize(gate: Gate): Authorize {
  return ({ headers }, scope, caller) => ({ caller: gate(headers, caller, scope) });
}

/** For what `opsListen` serves. */
export const admitAnybody: Authorize = (_request, _scope, caller) => ({ caller });
