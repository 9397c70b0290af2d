/** What the exit code of the process says; the numbers are those of BSD's sysexits.h. */
export const EXIT = {
  OK: 0,
  /** The command did its work and its own answer is no: not found, not serving. */
  NEGATIVE: 1,
  /** The command line is wrong, or the daemon refused what it asks for. */
  USAGE: 64,
  /** The daemon, or the bucket that it needs, cannot be reached or has no room now; the same may succeed later. */
  UNAVAILABLE: 69,
  /** A bug of ours. */
  BUG: 70,
  /** A disk, a file or a socket failed. */
  IO: 74,
  /** Another process has the store. */
  LOCKED: 75,
  PERMISSION: 77,
  /** The configuration or the store it names cannot be used as it is. */
  CONFIG: 78,
} as const;
