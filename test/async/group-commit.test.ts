/** Group commit: one group at a time, in the order of submission, and one outcome for each change. */
import { expect, it } from 'vitest';
import { GroupCommit } from '../../src/storage/async/group-commit.ts';

/** Commits numbers, each group when the test opens its gate. */
function gated() {
  const groups: number[][] = [];
  const gates: PromiseWithResolvers<void>[] = [];
  const commit = async (group: number[]) => {
    groups.push(group);
    const gate = Promise.withResolvers<void>();
    gates.push(gate);
    await gate.promise;
    return group.map((change) => change * 10);
  };
  return { groups, gates, commits: new GroupCommit<number, number>({ commit }) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

it('commits the first change at once, and what waits meanwhile as one group', async () => {
  const { groups, gates, commits } = gated();
  const outcomes = [1, 2, 3].map((change) => commits.submit(change));
  expect(groups).toEqual([[1]]);
  gates[0]!.resolve();
  expect(await outcomes[0]).toBe(10);
  await turn();
  expect(groups).toEqual([[1], [2, 3]]);
  gates[1]!.resolve();
  expect(await Promise.all(outcomes)).toEqual([10, 20, 30]);
});

it('takes at most 64 changes into a group, in their order', async () => {
  const { groups, gates, commits } = gated();
  const outcomes = Array.from({ length: 70 }, (_, change) => commits.submit(change));
  for (let group = 0; group < 3; group += 1) {
    gates[group]!.resolve();
    await turn();
  }
  expect(groups.map(({ length }) => length)).toEqual([1, 64, 5]);
  expect(groups.flat()).toEqual(Array.from({ length: 70 }, (_, change) => change));
  expect(await Promise.all(outcomes)).toEqual(groups.flat().map((change) => change * 10));
});

it('fails every change of a group that fails, and goes on with the next', async () => {
  const { groups, gates, commits } = gated();
  const failure = new Error('the disk failed');
  const [first, ...others] = [1, 2, 3].map((change) => commits.submit(change));
  gates[0]!.resolve();
  await first;
  await turn();
  gates[1]!.reject(failure);
  expect(await Promise.allSettled(others)).toEqual([
    { status: 'rejected', reason: failure },
    { status: 'rejected', reason: failure },
  ]);
  const fourth = commits.submit(4);
  await turn();
  gates[2]!.resolve();
  expect(await fourth).toBe(40);
  expect(groups).toEqual([[1], [2, 3], [4]]);
});

it('gathers before each group what is submitted until then', async () => {
  const groups: number[][] = [];
  const commit = async (group: number[]) => {
    groups.push(group);
    return group;
  };
  const commits = new GroupCommit<number, number>({ commit, gather: turn });
  await Promise.all([1, 2].map((change) => commits.submit(change)));
  await Promise.all([3, 4].map((change) => commits.submit(change)));
  expect(groups).toEqual([
    [1, 2],
    [3, 4],
  ]);
});

it('is idle once nothing waits', async () => {
  const { gates, commits } = gated();
  await commits.idle();
  const outcomes = [1, 2].map((change) => commits.submit(change));
  let isIdle = false;
  const idle = commits.idle().then(() => {
    isIdle = true;
  });
  gates[0]!.resolve();
  await outcomes[0];
  await turn();
  expect(isIdle).toBe(false);
  gates[1]!.resolve();
  await idle;
  expect(await outcomes[1]).toBe(20);
});
