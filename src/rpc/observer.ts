/** Who hears of the calls of a daemon: what counts them, and whether saves, gets and deletes are logged. */
import type { DescMethod } from '@bufbuild/protobuf';
import type { CallMeter } from './call.ts';

/** A method, as go-grpc-middleware names it. */
export interface MethodLabels {
  /** Such as `client_stream`. */
  type: string;
  /** With its package. */
  service: string;
  name: string;
}

export interface CallObserver {
  /** Whether saves, gets and deletes have lines at info. */
  logsAccess?: boolean;
  meterOf?(method: MethodLabels): CallMeter;
}

const TYPES = {
  unary: 'unary',
  client_streaming: 'client_stream',
  server_streaming: 'server_stream',
  bidi_streaming: 'bidi_stream',
} as const;

/** Returns what counts the calls of a method. */
export function meterOf({ meterOf }: CallObserver, { methodKind, parent, name }: DescMethod): CallMeter | undefined {
  return meterOf?.({ type: TYPES[methodKind], service: parent.typeName, name });
}
