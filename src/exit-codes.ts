/** The exit codes of the process; the numbers are those of BSD's sysexits.h. */
export const EXIT = {
  OK: 0,
  /** The command did its work, and its answer is no: not found, not serving. */
  NEGATIVE: 1,
  /** The command line is wrong, or the daemon refused what it asks for. */
  USAGE: 64,
  /** The daemon, or the bucket that it needs, cannot be reached or has no room now; the same may succeed later. */
  UNAVAILABLE: 69,
  /** An internal error, a bug. */
  BUG: 70,
  /** A disk, a file or a socket failed. */
  IO: 74,
  /** Another process has locked the store. */
  LOCKED: 75,
  PERMISSION: 77,
  /** The configuration, or the store that it names, cannot be used as it is. */
  CONFIG: 78,
  /** What shells expect of an interrupted command: 128 + SIGINT. */
  INTERRUPTED: 130,
} as const;
