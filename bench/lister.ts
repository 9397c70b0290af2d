/** A process of callers that list many images, each over a connection of its own. */
import { connect, type ImageStorageClient } from '../src/client.ts';
import { answerParent } from './child.ts';

export interface ListLoad {
  address: string;
  /** Images of one list. */
  limit: number;
  callers: number;
  /** No list begins later; each caller makes one at least. */
  durationMs: number;
}

export interface ListRound {
  /** Images, by all callers. */
  perSecond: number;
  /** Until the first image of the first list. */
  firstMs: number;
}

answerParent(async ({ address, limit, callers, durationMs }: ListLoad): Promise<ListRound> => {
  const clients = Array.from({ length: callers }, () => connect(address));
  const begun = performance.now();
  let [count, firstMs] = [0, Number.NaN];
  const list = async (client: ImageStorageClient) => {
    do {
      for await (const _ of client.list({ limit })) {
        if (count === 0) firstMs = performance.now() - begun;
        count += 1;
      }
    } while (performance.now() - begun < durationMs);
  };
  await Promise.all(clients.map(list));
  const seconds = (performance.now() - begun) / 1000;
  for (const client of clients) client.close();
  return { perSecond: count / seconds, firstMs };
});
