/** A server of @tus/server over a folder: `node tus-server.mjs MODULES FOLDER PORT`. */
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [, , modules, directory, port] = process.argv;
const require = createRequire(join(modules, 'package.json'));
const { Server } = require('@tus/server');
const { FileStore } = require('@tus/file-store');

new Server({ path: '/files', datastore: new FileStore({ directory }) }).listen({
  host: '127.0.0.1',
  port: Number(port),
});
