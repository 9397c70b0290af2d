/** Speaks HTTP/1.1 over a plain socket, where a test says every byte. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** `address` is `host:port`, or `unix:PATH`. */
export function socketTo(address: string): Socket {
  const [host, port] = address.split(':') as [string, string];
  const socket = host === 'unix' ? connect(address.slice('unix:'.length)) : connect(Number(port), host);
  return socket.on('error', () => {});
}

/** Sends the text, and returns all that comes until the daemon closes, or `waitMs` has passed. */
export async function talk(address: string, pieces: readonly string[] | string, waitMs = 5_000): Promise<string> {
  const socket = socketTo(address);
  let heard = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    heard += text;
  });
  const closed = once(socket, 'close');
  for (const piece of [pieces].flat()) {
    socket.write(piece, 'latin1');
    if (Array.isArray(pieces)) await sleep(20);
  }
  await Promise.race([closed, sleep(waitMs, undefined, { ref: false })]);
  socket.destroy();
  return heard;
}

/** One request with these header lines, behind which the connection is closed. */
export async function ask(address: string, line: string, ...headers: string[]): Promise<Answer> {
  const host = headers.some((header) => /^host:/i.test(header)) ? [] : ['Host: localhost'];
  const head = [`${line} HTTP/1.1`, ...host, ...headers, 'Connection: close'].join('\r\n');
  return answerOf(await talk(address, `${head}\r\n\r\n`));
}

export function answerOf(text: string): Answer {
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const [line = '', ...lines] = head.split('\r\n');
  const headers = Object.fromEntries(
    lines.map((each) => [each.slice(0, each.indexOf(':')).toLowerCase(), each.slice(each.indexOf(':') + 2)]),
  );
  return { status: Number(line.split(' ')[1]), headers, body: rest.join('\r\n\r\n') };
}
