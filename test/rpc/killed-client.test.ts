/** How soon the daemon notices that a client is gone. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { COMMAND } from '../support/command.ts';
import { filesBelow, untilNothingIsStaged } from '../support/files.ts';
import { pngOf } from '../support/images.ts';
import { runDaemon } from '../support/running-daemon.ts';

it('clears away within a second what a killed client had begun', async () => {
  await using daemon = await runDaemon();
  const basePath = join(dirname(daemon.socket), 'outputs');
  const client = spawn(process.execPath, [COMMAND, 'save', '-', '--address', daemon.address], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  client.stdin.on('error', () => {}).write(pngOf({ width: 16, height: 16, sizeBytes: 8 << 20 }).subarray(0, 4 << 20));
  while ((await filesBelow(basePath, 'metadata/staging')).length === 0) await sleep(5);
  client.kill('SIGKILL');
  await once(client, 'exit');
  const killedAt = performance.now();
  await untilNothingIsStaged(basePath);
  expect(performance.now() - killedAt).toBeLessThan(1000);
});
