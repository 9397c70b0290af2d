/** How long a gRPC client waits for its call. */

/** The longest wait of a timer in Node. */
export const MAX_TIMEOUT_MS: number = 2 ** 31 - 1;

const UNIT_MS: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** Returns the value of the header `grpc-timeout`; undefined where it is not one. */
export function timeoutMsOf(header: string | string[] | undefined): number | undefined {
  const [, digits, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(String(header ?? '')) ?? [];
  return digits === undefined ? undefined : Number(digits) * UNIT_MS[unit]!;
}
