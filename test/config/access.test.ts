/** The settings of tokens and TLS: what unlocks an address that others reach, and what does not go together. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type ConfigError, type Environment, explainConfig, loadConfig } from '../../src/config.ts';

const cwd = mkdtempSync(join(tmpdir(), 'image-storage-'));
const line = `worker ${'ab'.repeat(32)} read,write`;
afterAll(() => rmSync(cwd, { recursive: true }));

function problemsOf(env: Environment): readonly string[] {
  try {
    loadConfig({ cwd, env });
    return [];
  } catch (error) {
    return (error as ConfigError).problems;
  }
}

describe('an address that others can reach', () => {
  const exposed = { IMAGE_STORAGE_LISTEN: '0.0.0.0:50051' };
  const pair = { IMAGE_STORAGE_TLS_CERT: 'a.crt', IMAGE_STORAGE_TLS_KEY: 'a.key' };
  it('is taken with tokens or a client CA', () => {
    expect(problemsOf({ ...exposed, IMAGE_STORAGE_AUTH_TOKENS: line })).toEqual([]);
    expect(problemsOf({ ...exposed, IMAGE_STORAGE_AUTH_TOKENS_FILE: 'tokens' })).toEqual([]);
    expect(problemsOf({ ...exposed, ...pair, IMAGE_STORAGE_TLS_CLIENT_CA: 'ca.crt' })).toEqual([]);
  });

  it('is refused with TLS alone, which is no lock', () => {
    expect(problemsOf({ ...exposed, ...pair }).join()).toContain('IMAGE_STORAGE_AUTH_TOKENS_FILE=PATH');
  });
});

describe('tokens and TLS', () => {
  it.each([
    [{ IMAGE_STORAGE_AUTH_TOKENS: 'worker is_sesame read' }, 'auth.tokens (IMAGE_STORAGE_AUTH_TOKENS): line 1: behind'],
    [{ IMAGE_STORAGE_TLS_CERT: 'a.crt' }, 'tls.key (IMAGE_STORAGE_TLS_KEY): must be set, for tls.cert'],
    [{ IMAGE_STORAGE_TLS_KEY: 'a.key' }, 'tls.cert (IMAGE_STORAGE_TLS_CERT): must be set, for tls.key'],
    [{ IMAGE_STORAGE_TLS_CLIENT_CA: 'a.crt' }, 'tls.cert (IMAGE_STORAGE_TLS_CERT): must be set, for tls.clientCa'],
    [{ IMAGE_STORAGE_TLS_CLIENT_SCOPES: 'read,root' }, 'must be of read, write, delete, admin'],
  ])('that do not go together are refused: %o', (env, problem) => {
    const problems = problemsOf(env).join();
    expect(problems).toContain(problem);
    expect(problems).not.toContain('sesame');
  });

  it('are known by absolute paths, and the lines are not shown', () => {
    const env = { IMAGE_STORAGE_AUTH_TOKENS: line, IMAGE_STORAGE_TLS_CERT: 'a.crt', IMAGE_STORAGE_TLS_KEY: 'a.key' };
    expect(loadConfig({ cwd, env }).tls).toMatchObject({
      cert: join(cwd, 'a.crt'),
      clientCa: '',
      clientScopes: ['read'],
    });
    const shown = explainConfig({ cwd, env }).find(({ path }) => path === 'auth.tokens');
    expect(shown).toMatchObject({ value: undefined, isSecret: true });
  });

  it('leave the variables of clients alone', () => {
    const env = { IMAGE_STORAGE_TOKEN: 'x', IMAGE_STORAGE_TOKEN_FILE: 'y', IMAGE_STORAGE_CA_FILE: 'z' };
    expect(problemsOf(env)).toEqual([]);
  });
});

describe('links, sessions and proxies', () => {
  const key = 'k'.repeat(32);
  it('are taken', () => {
    const env = {
      IMAGE_STORAGE_AUTH_URL_KEYS: `# of the fleet\n${key}`,
      IMAGE_STORAGE_HTTP_CORS_ORIGINS: 'http://127.0.0.1:8188, https://a.example',
      IMAGE_STORAGE_HTTP_TRUSTED_PROXIES: '10.0.0.0/8,2001:db8::/32,127.0.0.1,unix',
    };
    expect(loadConfig({ cwd, env }).http).toMatchObject({
      corsOrigins: ['http://127.0.0.1:8188', 'https://a.example'],
    });
    const shown = explainConfig({ cwd, env }).find(({ path }) => path === 'auth.urlKeys');
    expect(shown).toMatchObject({ value: undefined, isSecret: true });
  });

  it.each([
    [
      { IMAGE_STORAGE_AUTH_URL_KEYS: `${key}\nsesame` },
      'auth.urlKeys (IMAGE_STORAGE_AUTH_URL_KEYS): line 2: a key has',
    ],
    [{ IMAGE_STORAGE_HTTP_CORS_ORIGINS: '*' }, '"*" is no origin'],
    [{ IMAGE_STORAGE_HTTP_CORS_ORIGINS: 'null' }, '"null" is no origin'],
    [{ IMAGE_STORAGE_HTTP_CORS_ORIGINS: 'https://a.example/' }, '"https://a.example/" is no origin'],
    [{ IMAGE_STORAGE_HTTP_CORS_ORIGINS: 'https://a.example:443' }, '"https://a.example:443" is no origin'],
    [{ IMAGE_STORAGE_HTTP_CORS_ORIGINS: 'chrome-extension://abc' }, 'is no origin'],
    [{ IMAGE_STORAGE_HTTP_TRUSTED_PROXIES: 'proxy' }, '"proxy" is neither an address nor a network'],
    [{ IMAGE_STORAGE_HTTP_TRUSTED_PROXIES: '10.0.0.0/33' }, '"10.0.0.0/33" is neither'],
    [{ IMAGE_STORAGE_HTTP_TRUSTED_PROXIES: '10.0.0.0/8/8' }, 'is neither'],
    [{ IMAGE_STORAGE_HTTP_TRUSTED_PROXIES: '::/' }, 'is neither'],
  ])('are refused: %o', (env, problem) => {
    const problems = problemsOf(env).join();
    expect(problems).toContain(problem);
    expect(problems).not.toContain('sesame');
  });
});
