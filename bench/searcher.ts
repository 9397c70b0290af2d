/** A process of callers that search without a pause, each over a connection of its own. */
import { connect } from '../src/client.ts';
import { answerParent } from './child.ts';
import { type Round, runFor } from './rounds.ts';

export interface SearchLoad {
  address: string;
  callers: number;
  /** Asked in turns. */
  queries: string[];
  durationMs: number;
}

answerParent(async ({ address, callers, queries, durationMs }: SearchLoad): Promise<Round> => {
  const clients = Array.from({ length: callers }, () => connect(address));
  let calls = 0;
  const search = async () => {
    const call = calls++;
    for await (const _ of clients[call % callers]!.list({ query: queries[call % queries.length]!, limit: 100 }));
  };
  const round = await runFor(durationMs, callers, search);
  for (const client of clients) client.close();
  return round;
});
