/** How the protocols that connect serves pack the messages of a request. */

/** gRPC, gRPC-Web and Connect's streams have envelopes; Connect's other calls have none. */
const ENVELOPED = /^application\/(grpc|grpc-web|connect)\b/i;
const JSON_TYPE = /\bjson\b/i;

export interface Packing {
  /** Each message has a prefix; else the body is the message. */
  isEnveloped: boolean;
  isJson: boolean;
  /** The header that names the compression of messages. */
  encodingHeader: string;
}

export function packingOf(contentType: string): Packing {
  const [, protocol] = ENVELOPED.exec(contentType) ?? [];
  const isJson = JSON_TYPE.test(contentType);
  if (protocol === undefined) return { isEnveloped: false, isJson, encodingHeader: 'content-encoding' };
  const encodingHeader = protocol.toLowerCase() === 'connect' ? 'connect-content-encoding' : 'grpc-encoding';
  return { isEnveloped: true, isJson, encodingHeader };
}

/** Whether it is gRPC itself, which no page can send: neither hosts nor cookies are looked at. */
export function isGrpc(contentType = ''): boolean {
  return /^application\/grpc(?!-web)/i.test(contentType);
}
