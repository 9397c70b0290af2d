/** Where the methods of the services find who calls them. */
import { type ContextKey, createContextKey } from '@connectrpc/connect';
import { type Caller, THIS_PROCESS } from '../storage/domain/caller.ts';

export const callerKey: ContextKey<Caller> = createContextKey(THIS_PROCESS, { description: 'caller' });
