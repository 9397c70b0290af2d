/** Interop runner of the TypeScript client. */
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import {
  connect,
  type Hint,
  type Image,
  type ImageStorageClient,
  ImageStorageError,
  type Selection,
} from '../../src/client.ts';

/** As README.md beside this file describes it. */
// biome-ignore lint/suspicious/noExplicitAny: what a command carries depends on its verb
type Command = any;

async function perform(client: ImageStorageClient, command: Command, signal?: AbortSignal): Promise<object> {
  switch (command.do) {
    case 'save': {
      const { file, prompt, model, category, tags, parametersJson } = command;
      const { idempotencyKey, contentType, pinned, provider, embedded, ttlMs, unlessDeleted } = command;
      const { replayed, deleted, ...image } = await client.save(
        { file },
        { prompt, model, category, tags, parametersJson, timestamp: date(command.timestampMs) },
        { idempotencyKey, contentType, pinned, provider, embedded, ttlMs, unlessDeleted, signal },
      );
      return { image: described(image), replayed, deleted };
    }
    case 'get': {
      const { body } = await client.get(command.filename, { offset: command.offset, limit: command.limit, signal });
      const hash = createHash('sha256');
      let size = 0;
      for await (const chunk of body) {
        hash.update(chunk);
        size += chunk.length;
      }
      return { size, sha256: hash.digest('hex') };
    }
    case 'list': {
      const { model, category, query, tags, pinned, startMs, endMs, order, view, limit } = command;
      const filters = { model, category, query, tags, pinned, dateRange: { start: date(startMs), end: date(endMs) } };
      const images: object[] = [];
      const hints: object[] = [];
      const onHints = command.hints ? (told: Hint[]) => void hints.push(...told) : undefined;
      const found = client.list({ ...filters, order, view, limit, onHints, signal });
      for await (const image of found) images.push(described(image));
      return { images, hints };
    }
    case 'update': {
      const { filename, pinned, addTags, removeTags, category } = command;
      return { image: described(await client.update(filename, { pinned, addTags, removeTags, category }, { signal })) };
    }
    case 'delete': {
      const results = await client.delete(command.filenames, { permanent: command.permanent, signal });
      return { results: results.map((each) => ({ ...each, restorable: each.restorableUntil !== undefined })) };
    }
    case 'restore':
      return { results: await client.restore(command.filenames, { signal }) };
    case 'listTrash': {
      const images: object[] = [];
      for await (const image of client.listTrash({ query: command.query, signal })) images.push(described(image));
      return { images };
    }
    case 'purge':
      return await client.purge({ filenames: command.filenames, signal });
    case 'cleanup': {
      const { model, category, olderThanMs, olderThanAgeMs: ageMs, keepCount, keepBytes, dryRun, maxDeletes } = command;
      const criteria = { olderThan: ageMs === undefined ? date(olderThanMs) : { ageMs }, keepCount, keepBytes };
      const selection = command.selection && selectionOf(command.selection);
      const done = await client.cleanup({ ...criteria, model, category, selection, dryRun, maxDeletes, signal });
      return { ...done, plan: Buffer.from(done.plan ?? []).toString('hex') };
    }
    case 'stats': {
      const [local] = await client.stats('local', { signal });
      const byModel = Object.fromEntries(local!.byModel.map(({ name, count, bytes }) => [name, { count, bytes }]));
      return { count: local!.count, bytes: local!.bytes, pinnedCount: local!.pinnedCount, byModel };
    }
    case 'totals': {
      const { model, category, query, tags, pinned, startMs, endMs, by, startsWith, timeZone, limit } = command;
      const filters = { model, category, query, tags, pinned, dateRange: { start: date(startMs), end: date(endMs) } };
      const totals = await client.totals({ ...filters, by, startsWith, timeZone, limit, signal });
      return { ...totals, oldestMs: totals?.oldest?.getTime(), newestMs: totals?.newest?.getTime() };
    }
    default:
      throw new Error(`unknown: ${command.do}`);
  }
}

function selectionOf({ startMs, endMs, olderThanMs, olderThanAgeMs: ageMs, plan, ...same }: Command): Selection {
  return {
    ...same,
    dateRange: { start: date(startMs), end: date(endMs) },
    olderThan: ageMs === undefined ? date(olderThanMs) : { ageMs },
    plan: plan && Buffer.from(plan, 'hex'),
  };
}

function described({ metadata: { timestamp, ...metadata }, ...image }: Image): object {
  return { ...image, ...metadata, timestampMs: timestamp.getTime() };
}

function date(ms: number | undefined): Date | undefined {
  return ms === undefined ? undefined : new Date(ms);
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  const client = connect(command.address, {
    deadlineMs: command.timeoutMs,
    retries: command.retries,
    token: command.token,
  });
  const signal = command.cancelAfterMs && AbortSignal.timeout(command.cancelAfterMs);
  const answer = await perform(client, command, signal).catch((error) => {
    if (!(error instanceof ImageStorageError)) throw error;
    const { code, reason, field, message } = error;
    return { error: { code, reason, field, message } };
  });
  client.close();
  console.log(JSON.stringify(answer));
}
