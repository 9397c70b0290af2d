/**
 * `npm run bench:scaling`: prints what follows for large fleets from what was measured: requests a second and a prefix, the
 * load of one index, costs, sizes. It asks no service and takes seconds; its assumptions are printed first.
 */
import { writeScaling } from './scaling-report.ts';

for (const [name, lines] of Object.entries(writeScaling())) console.log(`${name}\n\n${lines.join('\n')}\n`);
