/** Lets in who may do what a call does, whatever protocol carries it. */
import type { Access, Credentials } from '../auth/access.ts';
import type { Caller } from '../storage/domain/caller.ts';
import { StorageError } from '../storage/domain/errors.ts';
import type { Need } from './scopes.ts';

/** Of a request, on any protocol. */
export interface CredentialHeaders {
  authorization?: string | undefined;
}

/** What a caller is known by. */
function credentialsOf({ authorization }: CredentialHeaders, { certificate, isLocal = false }: Caller): Credentials {
  return { authorization, certificate, isLocal };
}

/** Whether the caller has a valid token or certificate, whatever it may do. */
export function isKnownTo(access: Pick<Access, 'judge'>, headers: CredentialHeaders, caller: Caller): boolean {
  const verdict = access.judge(credentialsOf(headers, caller), 'read');
  if (verdict.refusal !== undefined) return verdict.refusal.reason === 'SCOPE_MISSING';
  return verdict.name !== undefined;
}

/** Returns the caller under the name of its token or certificate, where it has one. Throws a StorageError that says why not. */
export type Gate = (headers: CredentialHeaders, caller: Caller, need: Need) => Caller;

export function createGate(access: Pick<Access, 'judge'>): Gate {
  return (headers, caller, need) => {
    if (need === 'none') return caller;
    const verdict = access.judge(credentialsOf(headers, caller), need);
    if (verdict.refusal !== undefined) {
      const { reason, message, details } = verdict.refusal;
      throw new StorageError(reason, message, { details });
    }
    // What is scarce is shared by names: a token is one peer from however many addresses.
    const { name: token } = verdict;
    return token === undefined ? caller : { ...caller, peer: `token:${token}`, address: caller.peer, token };
  };
}
