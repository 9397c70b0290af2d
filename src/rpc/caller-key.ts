/** Where the methods of the services find who calls them, whether they may, and how much of the request has come. */
import { type ContextKey, createContextKey } from '@connectrpc/connect';
import { type Caller, THIS_PROCESS } from '../storage/domain/caller.ts';
import type { StorageError } from '../storage/domain/errors.ts';
import type { CallNotes } from './call.ts';

export const callerKey: ContextKey<Caller> = createContextKey(THIS_PROCESS, { description: 'caller' });

/** Why the caller may not make the call. */
export const refusalKey: ContextKey<StorageError | undefined> = createContextKey<StorageError | undefined>(undefined, {
  description: 'refusal',
});

/** Bytes of the request, as they came over the wire. */
export interface Arrived {
  bytes: number;
}

/** What the log and the metrics are told of the call. */
export const notesKey: ContextKey<CallNotes> = createContextKey<CallNotes>(
  { messages: { received: 0, sent: 0 } },
  { description: 'notes' },
);

export const arrivedKey: ContextKey<Arrived> = createContextKey({ bytes: 0 }, { description: 'arrived' });
