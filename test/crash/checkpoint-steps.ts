/** Loaded into the threads of a catalog: makes a step of each checkpoint that is about to empty its log. */
import { DatabaseSync } from 'node:sqlite';
import { getEnvironmentData } from 'node:worker_threads';
import type { Checkpoints } from './store-process.ts';

const { reached, crashAt } = getEnvironmentData('checkpoints') as Checkpoints;
const { prepare } = DatabaseSync.prototype;

DatabaseSync.prototype.prepare = function (this: DatabaseSync, sql, ...options) {
  const statement = prepare.call(this, sql, ...options);
  if (!sql.includes('wal_checkpoint(TRUNCATE)')) return statement;
  const get = statement.get.bind(statement);
  statement.get = () => {
    if (Atomics.add(reached, 0, 1) + 1 === crashAt) process.kill(process.pid, 'SIGKILL');
    return get();
  };
  return statement;
};
