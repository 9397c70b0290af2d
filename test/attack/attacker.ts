/** Runs one attack in a process of its own, which ends by itself and prints what it was answered: `node attacker.ts NAME TARGET`. */
import { attacks } from './attacks.ts';
import { answers, type Target } from './calls.ts';
import { http1Attacks } from './http1.ts';
import { previewAttacks } from './previews.ts';
import { tlsAttacks } from './tls.ts';

const LONGEST_MS = 30_000;

setTimeout(() => process.exit(0), LONGEST_MS);
const [name = '', target = ''] = process.argv.slice(2);
await { ...attacks, ...http1Attacks, ...previewAttacks, ...tlsAttacks }[name]!(JSON.parse(target) as Target);
process.stdout.write(JSON.stringify(answers), () => process.exit(0));
