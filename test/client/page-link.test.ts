/** Where the gallery's page of an image is, as far as a client can tell. */
import { expect, it } from 'vitest';
import { pageLink } from '../../src/client/page-link.ts';
import type { Image } from '../../src/client.ts';

const KEY = 'outputs/images/generations/2024-09-27/flux/20240927_141522_flux_abc123.png';

function linkOf(url: string, address: string, storageType = 'local', provider?: string): string | undefined {
  const image = { filename: '20240927_141522_flux_abc123.png', key: KEY, url, storageType, provider: 'my archive' };
  return pageLink(image as Image, address, provider);
}

it.each([
  [`/${KEY}`, '127.0.0.1:50051', 'http://127.0.0.1:50051/'],
  [`/${KEY}`, '[::1]:50051', 'http://[::1]:50051/'],
  [`/${KEY}`, 'https://images.example.com:50051', 'https://images.example.com:50051/'],
  [`https://example.com/art/${KEY}`, 'unix:/run/socket', 'https://example.com/art/'],
  [`https://example.com/art/${KEY}?exp=1&sig=2`, '127.0.0.1:50051', 'https://example.com/art/'],
])('of %s through %s is below %s', (url, address, root) => {
  expect(linkOf(url, address)).toBe(`${root}i/20240927_141522_flux_abc123.png`);
});

it('is the daemon, not the bucket, for an image of a bucket', () => {
  expect(linkOf(`https://cdn.example.com/${KEY}`, '127.0.0.1:50051', 's3', 'my archive')).toBe(
    'http://127.0.0.1:50051/i/20240927_141522_flux_abc123.png?provider=my%20archive',
  );
});

it('is unknown behind a socket', () => {
  expect(linkOf(`/${KEY}`, 'unix:/run/socket')).toBeUndefined();
});
