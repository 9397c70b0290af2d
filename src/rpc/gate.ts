/** Lets in who may do what a call does, whatever protocol carries it. */
import type { Access, Admitted, Credentials } from '../auth/access.ts';
import type { Refusal } from '../auth/refusal.ts';
import type { SignedTarget } from '../auth/signed-url.ts';
import type { Caller } from '../storage/domain/caller.ts';
import { StorageError } from '../storage/domain/errors.ts';
import type { Need } from './scopes.ts';

/** What a request may be let in by, on any protocol. */
export interface CredentialHeaders {
  authorization?: string | undefined;
  cookie?: string | undefined;
}

/** What a caller is known by. */
export function credentialsOf(
  { authorization, cookie }: CredentialHeaders,
  { certificate, isLocal = false }: Caller,
  target?: SignedTarget,
): Credentials {
  return { authorization, cookie, target, certificate, isLocal };
}

/** Whether the caller has what no page of another name has: a valid token, certificate or signature, whatever it may do. */
export function isKnownTo(
  access: Pick<Access, 'judge'>,
  { authorization }: CredentialHeaders,
  caller: Caller,
  target: SignedTarget,
): boolean {
  const verdict = access.judge(credentialsOf({ authorization }, caller, target), 'read');
  return verdict.refusal === undefined ? verdict.way !== 'open' : verdict.refusal.reason === 'SCOPE_MISSING';
}

/** A caller who is let in. */
export interface Admission {
  /** Under the name of its token or certificate, where it has one. */
  caller: Caller;
  /** How it is known; unset where nothing is asked for. */
  verdict?: Admitted;
}

/** Throws a StorageError that says why not. A signature counts only with the `target` that it is of. */
export type Gate = (headers: CredentialHeaders, caller: Caller, need: Need, target?: SignedTarget) => Admission;

export function createGate(access: Pick<Access, 'judge'>): Gate {
  return (headers, caller, need, target) => {
    if (need === 'none') return { caller };
    const verdict = access.judge(credentialsOf(headers, caller, target), need);
    if (verdict.refusal !== undefined) throw refusalError(verdict.refusal);
    return { caller: named(caller, verdict), verdict };
  };
}

export function refusalError({ reason, message, details }: Refusal): StorageError {
  return new StorageError(reason, message, { details });
}

/** What is scarce is shared by names: a token is one peer from however many addresses, but not all who have its links. */
function named(caller: Caller, { way, name }: Admitted): Caller {
  if (name === undefined) return caller;
  if (way === 'link') return { ...caller, token: name };
  return { ...caller, peer: `token:${name}`, address: caller.peer, token: name };
}
