/** Writes lines to stdout or stderr without ever waiting for them: keeps what they do not take yet, within a bound. */
import { constants, fstatSync, openSync, write, writeSync } from 'node:fs';

/** Bytes that wait for a reader or for space; further lines are dropped and counted. */
const MAX_WAITING_BYTES = 1024 * 1024;
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 1_000;

/** A standard stream of the process: Node makes its descriptor non-blocking where it is a pipe or a socket. */
export interface StandardStream {
  fd: number;
  isTTY?: boolean;
}

export interface LineWriter {
  /** Writes or keeps one line, its line break included, or drops it. Lines keep their order. Never throws. */
  write(line: string): void;
  /** Writes what waits, as far as that is possible at once. Never throws. */
  flushSync(): void;
}

/** The writers with lines that wait; at the exit each writes what it can at once. */
const unfinished = new Set<LineWriter>();
process.on('exit', () => {
  for (const writer of unfinished) writer.flushSync();
});

/** `noteOf` returns the line that reports how many lines were dropped, in their place; default: none. */
export function openLineWriter(stream: StandardStream, noteOf: (lines: number) => string = () => ''): LineWriter {
  const { fd, isFile } = descriptorOf(stream);
  return isFile ? new FileWriter(fd, noteOf) : new PipeWriter(fd, noteOf);
}

/** A terminal is opened anew: its own descriptor is shared with other programs, and blocks while output is paused. */
function descriptorOf({ fd, isTTY }: StandardStream): { fd: number; isFile: boolean } {
  if (isTTY) {
    try {
      const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
      return { fd: openSync(`/proc/self/fd/${fd}`, flags), isFile: false };
    } catch {
      return { fd, isFile: true };
    }
  }
  const stats = fstatSync(fd);
  return { fd, isFile: !stats.isFIFO() && !stats.isSocket() };
}

abstract class BoundedWriter implements LineWriter {
  protected readonly fd: number;
  protected readonly waiting: Buffer[] = [];
  readonly #noteOf: (lines: number) => string;
  #waitingBytes = 0;
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;
  #pauseMs = FIRST_PAUSE_MS;

  constructor(fd: number, noteOf: (lines: number) => string) {
    this.fd = fd;
    this.#noteOf = noteOf;
  }

  /** Starts to write what waits, unless it is under way. */
  protected abstract start(): void;
  abstract flushSync(): void;

  write(line: string): void {
    const bytes = Buffer.from(line);
    // After a loss half of the room must be free again, or a slow reader would get a note between any two lines.
    const room = this.#dropped === 0 ? MAX_WAITING_BYTES : MAX_WAITING_BYTES / 2;
    if (this.#waitingBytes + bytes.length > room) {
      this.#dropped += 1;
      return;
    }
    this.#noteLoss();
    this.#keep(bytes);
    if (this.#timer === undefined) this.start();
  }

  /** Removes what was written; once nothing waits, reports a loss. */
  protected advance(bytes: number): void {
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#waitingBytes -= bytes;
    const [first] = this.waiting as [Buffer];
    if (bytes < first.length) this.waiting[0] = first.subarray(bytes);
    else this.waiting.shift();
    if (this.waiting.length === 0) this.#noteLoss();
    if (this.waiting.length === 0) unfinished.delete(this);
  }

  /** A full pipe is tried again soon, a full disk or a reader that has gone each second. */
  protected retryLater(error: unknown): void {
    const isFull = (error as NodeJS.ErrnoException).code === 'EAGAIN';
    this.#pauseMs = isFull ? Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS) : LONGEST_PAUSE_MS;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.start();
    }, this.#pauseMs).unref();
  }

  #noteLoss(): void {
    if (this.#dropped === 0) return;
    const note = this.#noteOf(this.#dropped);
    this.#dropped = 0;
    this.#keep(Buffer.from(note));
  }

  #keep(bytes: Buffer): void {
    this.waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    unfinished.add(this);
  }
}

/** Writes at once, so that none of the lines that its reader keeps up with is missing after a crash. */
class PipeWriter extends BoundedWriter {
  protected start(): void {
    try {
      this.#writeAll();
    } catch (error) {
      this.retryLater(error);
    }
  }

  flushSync(): void {
    try {
      this.#writeAll();
    } catch {
      // It is full, or nobody reads it any more.
    }
  }

  #writeAll(): void {
    while (this.waiting.length > 0) this.advance(writeSync(this.fd, this.waiting[0]!));
  }
}

/** Writes in the thread pool, all lines of a turn together: the disk may be slow. */
class FileWriter extends BoundedWriter {
  #isStarted = false;
  /** True while the first of what waits is being written. */
  #isWriting = false;

  protected start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    setImmediate(() => this.#writeAll());
  }

  flushSync(): void {
    const rest = Buffer.concat(this.waiting.slice(this.#isWriting ? 1 : 0));
    try {
      for (let done = 0; done < rest.length; ) done += writeSync(this.fd, rest, done);
    } catch {
      // The disk is full.
    }
  }

  #writeAll(): void {
    const lines = Buffer.concat(this.waiting);
    this.waiting.splice(0, this.waiting.length, lines);
    this.#isWriting = true;
    write(this.fd, lines, (error, bytesWritten) => {
      this.#isWriting = false;
      this.#isStarted = false;
      if (error) return this.retryLater(error);
      this.advance(bytesWritten);
      if (this.waiting.length > 0) this.start();
    });
  }
}
