/** Where a client connects, and when its token may go there. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { baseUrlOf, endpointOf } from '../../src/client/endpoint.ts';

const folder = mkdtempSync(join(tmpdir(), 'image-storage-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('an address', () => {
  it.each([
    ['https://images.example', 'images.example:443'],
    ['https://images.example:50051/', 'images.example:50051'],
    ['HTTPS://[::1]:8443', '[::1]:8443'],
  ])('with https means TLS: %s', (text, address) => {
    expect(endpointOf(text, {}, {})).toEqual({ address, token: undefined, tls: {} });
  });

  it.each(['https://', 'https://a/b', 'https://user@a', 'http://a', 'https://unix:/a', 'https://a:99999'])(
    'is refused when it is none: %s',
    (text) => {
      expect(() => endpointOf(text, {}, {})).toThrow(`"${text}" is no address`);
    },
  );
});

describe('a token', () => {
  it('comes from the option, else from the variable, else from its file', () => {
    const file = join(folder, 'token');
    writeFileSync(file, 'of-file\n');
    const env = { IMAGE_STORAGE_TOKEN_FILE: file };
    const tokenOf = (...args: Parameters<typeof endpointOf>) => endpointOf(...args).token;
    expect(tokenOf('unix:/a', {}, env)).toBe('of-file');
    expect(tokenOf('unix:/a', {}, { ...env, IMAGE_STORAGE_TOKEN: 'of-variable' })).toBe('of-variable');
    expect(tokenOf('unix:/a', { token: 'own' }, { ...env, IMAGE_STORAGE_TOKEN: 'of-variable' })).toBe('own');
    expect(tokenOf('unix:/a', { token: '' }, env)).toBeUndefined();
    expect(() => tokenOf('unix:/a', {}, { IMAGE_STORAGE_TOKEN_FILE: join(folder, 'none') })).toThrow('ENOENT');
  });

  it('is not quoted when no header may have it', () => {
    expect(() => endpointOf('unix:/a', { token: 'sesame\n' }, {})).toThrow(TypeError);
    expect(() => endpointOf('unix:/a', { token: 'sesame\n' }, {})).not.toThrow('sesame');
  });

  it('stays where it would cross the network without TLS', () => {
    const refused = { reason: 'TOKEN_IN_PLAINTEXT' };
    expect(() => endpointOf('10.0.0.7:50051', { token: 'sesame' }, {})).toThrow(expect.objectContaining(refused));
    expect(() => endpointOf('10.0.0.7:50051', { token: 'sesame' }, {})).not.toThrow('sesame');
    for (const address of ['127.0.0.1:1', '[::1]:1', 'localhost:1', 'unix:/a', 'https://10.0.0.7']) {
      expect(endpointOf(address, { token: 'sesame' }, {}).token).toBe('sesame');
    }
    const allowed = { token: 'sesame', allowPlaintextToken: true };
    expect(endpointOf('10.0.0.7:50051', allowed, {}).token).toBe('sesame');
  });
});

it.each([
  ['localhost', 'localhost:50051', 'http://localhost:50051'],
  ['[::1]', '[::1]:50051', 'http://[::1]:50051'],
  ['https://images.example', 'images.example:443', 'https://images.example:443'],
  ['unix:/a', 'unix:/a', undefined],
])('%s has the default port, and is where links begin', (text, address, baseUrl) => {
  const endpoint = endpointOf(text, {}, {});
  expect(endpoint.address).toBe(address);
  expect(baseUrlOf(endpoint)).toBe(baseUrl);
});
