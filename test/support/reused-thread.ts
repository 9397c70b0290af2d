/** The thread of one store after another: for each it begins what a thread of the catalog runs anew, with its own data. */
import { syncBuiltinESMExports } from 'node:module';
import threads, { type MessagePort } from 'node:worker_threads';

const control = threads.workerData as MessagePort;
const port = threads.parentPort!;
let begun = 0;

control.on('message', async (data: unknown) => {
  port.removeAllListeners('message');
  Object.assign(threads, { workerData: data });
  syncBuiltinESMExports();
  begun += 1;
  // Another URL is another instance of the module.
  await import(new URL(`./sqlite-worker.js?begun=${begun}`, import.meta.url).href);
  control.postMessage('begun');
});
