/** Decides whether a request may do what a route or an rpc does. */
import type { HttpRequest } from './router.ts';

/** What a caller may do: `write` saves and changes, `delete` deletes and restores, `admin` maintains. */
export type Scope = 'read' | 'write' | 'delete' | 'admin';

/** What a caller who may do it gets besides. */
export interface Grant {
  /** How long caches that are shared may keep an image, in seconds; unset: they may not. */
  publicSeconds?: number;
  /** The origin of another page that may read the answer. */
  corsOrigin?: string;
}

export function authorize(_request: HttpRequest, _scope: Scope): Grant {
  return {};
}
