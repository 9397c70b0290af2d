/** Runs one attack in a process of its own, which ends by itself: `node attacker.ts NAME TARGET`. */
import { attacks, type Target } from './attacks.ts';

const LONGEST_MS = 30_000;

setTimeout(() => process.exit(0), LONGEST_MS);
const [name = '', target = ''] = process.argv.slice(2);
await attacks[name]!(JSON.parse(target) as Target);
process.exit(0);
