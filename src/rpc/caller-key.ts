/** Where the methods of the services find who calls them, and how much of the request has come. */
import { type ContextKey, createContextKey } from '@connectrpc/connect';
import { type Caller, THIS_PROCESS } from '../storage/domain/caller.ts';

export const callerKey: ContextKey<Caller> = createContextKey(THIS_PROCESS, { description: 'caller' });

/** Bytes of the request, as they came over the wire. */
export interface Arrived {
  bytes: number;
}

export const arrivedKey: ContextKey<Arrived> = createContextKey({ bytes: 0 }, { description: 'arrived' });
