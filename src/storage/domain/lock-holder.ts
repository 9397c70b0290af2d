/** The process that has a store open. */
export interface LockHolder {
  /** The file that is locked. */
  path: string;
  /** Unset where the system does not tell: not Linux, or another container. */
  pid?: number;
}

/** Called where another process has a store open. Returns why to wait for it is of no use; undefined: wait. */
export type OnLocked = (holder: LockHolder) => Promise<string | undefined>;
