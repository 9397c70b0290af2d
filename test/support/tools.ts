/** Builds once, before test files that have no right to, what they need below node_modules/.cache and is not there yet. */
import { pythonWith, pythonWithGrpc } from './python.ts';
import { buildVersitygw, versitygwAvailable } from './versitygw.ts';

export default async function setup(): Promise<void> {
  if (versitygwAvailable) await buildVersitygw();
  await pythonWithGrpc();
  await pythonWith('clients/python/requirements-dev.txt');
  await pythonWith('test/mcp/requirements.txt');
}
