/** Decides whether a request may do what a route does. */
import type { Scope } from '../auth/scope.ts';
import type { Gate } from '../rpc/gate.ts';
import type { Need } from '../rpc/scopes.ts';
import type { Caller } from '../storage/domain/caller.ts';
import type { HttpRequest, Target } from './router.ts';

export type { Need, Scope };

/** What a caller who may do it gets. */
export interface Grant {
  /** Under the name of its token or certificate. */
  caller: Caller;
  /** Who asks for the links that it signs. */
  by?: string;
  /** How long caches that are shared may keep an image, in seconds; unset: they may not. */
  publicSeconds?: number;
}

/** Throws a StorageError that says why not. The path of the target is without that of publicUrl. */
export type Authorize = (request: HttpRequest, need: Need, caller: Caller, target: Target) => Grant;

/** `onOpenProxy` is called for each request that a proxy hands on and nobody asks for anything. */
export function createAuthorize(gate: Gate, onOpenProxy: () => void): Authorize {
  return ({ headers }, need, connected, target) => {
    const { caller, verdict } = gate(headers, connected, need, target);
    const { way, by, endsAt = 0 } = verdict ?? {};
    if (way === 'open' && (headers['x-forwarded-for'] ?? headers.forwarded) !== undefined) onOpenProxy();
    if (way !== 'link') return { caller, by };
    return { caller, publicSeconds: Math.floor((endsAt - Date.now()) / 1000) };
  };
}

/** For what `opsListen` serves. */
export const admitAnybody: Authorize = (_request, _need, caller) => ({ caller });
