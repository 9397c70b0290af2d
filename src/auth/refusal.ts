/** Why a caller is not let in. */

export interface Refusal {
  reason: 'TOKEN_MISSING' | 'TOKEN_UNKNOWN' | 'TOKEN_EXPIRED' | 'SCOPE_MISSING';
  message: string;
  details: Readonly<Record<string, string>>;
}

export function refused(reason: Refusal['reason'], message: string, details: Refusal['details'] = {}): Refusal {
  return { reason, message, details };
}
