/** Who makes a call: what is scarce is shared among peers, then among the connections of a peer. */
export interface Caller {
  /** A remote address, a connection of a Unix socket, or the name of a token. */
  readonly peer: string;
  /** A connection of the peer; unique in the process. */
  readonly connection: number;
  /** Its address, where `peer` is another name. */
  readonly address?: string;
  /** The name of the token or certificate that it came with. */
  readonly token?: string;
  /** Whether it came over loopback or a socket. */
  readonly isLocal?: boolean;
  /** Whether it came over TLS, also where a proxy that is trusted says so. */
  readonly isSecure?: boolean;
  /** The name in its certificate, where a CA that is trusted has signed that. */
  readonly certificate?: string;
}

/** The caller of what no client asked for. */
export const THIS_PROCESS: Caller = { peer: '', connection: 0 };
