/** How much the tests do: reduced in `npm test`, all of it in `npm run test:full`; and the seed of their randomness. */

/** Whether every round is wanted. */
export const full: boolean = process.env.TEST_FULL === '1';

/** 32 bits; set TEST_SEED to repeat a run. */
export const seed: number = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 32));

console.info(`TEST_SEED=${seed}${full ? ', all rounds' : ''}`);
