/** Prints the JSON Schema of the configuration file, as it is kept in examples/image-storage.schema.json. */
import { spawnSync } from 'node:child_process';
import * as z from 'zod';
import { fileSettings } from '../src/config/schema.ts';

const schema = z.toJSONSchema(fileSettings, { io: 'input', target: 'draft-07' });
const { $schema, ...rest } = schema;
const text = JSON.stringify({ $schema, title: 'Configuration of ImageStorage', ...rest });
// Formatted, since the check of formats covers the committed file.
const { status } = spawnSync('biome', ['format', '--stdin-file-path=image-storage.schema.json'], {
  input: text,
  stdio: ['pipe', 'inherit', 'inherit'],
});
process.exitCode = status ?? 1;
