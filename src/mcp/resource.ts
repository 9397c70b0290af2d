/** Serves images as resources: links to them, and reads of `imagestorage://<provider>/<filename>`. */
import {
  type McpServer,
  ProtocolError,
  ProtocolErrorCode,
  type ResourceLink,
  ResourceNotFoundError,
  ResourceTemplate,
} from '@modelcontextprotocol/server';
import { type Image, type ImageStorageClient, ImageStorageError } from '../client.ts';
import { explain } from './errors.ts';

/** An image must fit into one message as base64, and clients accept 10 MiB. */
const MAX_READABLE_BYTES = 7 * 1024 * 1024;

/** Returns a link to the image's URL or, where no public one is configured, to the resource that this server reads. */
export function resourceLink({ url, provider, filename, contentType, size }: Image): ResourceLink {
  const uri = URL.canParse(url) ? url : `imagestorage://${provider}/${filename}`;
  return { type: 'resource_link', uri, name: filename, mimeType: contentType, size };
}

export async function readImage(client: ImageStorageClient, image: Image, signal: AbortSignal): Promise<Buffer> {
  const { body } = await client.get(image.filename, { provider: image.provider, signal });
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export function addImageResource(server: McpServer, client: ImageStorageClient, address: string): void {
  const template = new ResourceTemplate('imagestorage://{provider}/{filename}', { list: undefined });
  const about = { title: 'A stored image', description: 'The bytes of an image of at most 7 MiB.' };
  server.registerResource('image', template, about, async (uri, { provider, filename }, { mcpReq: { signal } }) => {
    try {
      const { image } = await client.get(String(filename), { provider: String(provider), metadataOnly: true, signal });
      if (image.size > MAX_READABLE_BYTES) throw tooLarge(image);
      const bytes = await readImage(client, image, signal);
      return { contents: [{ uri: uri.href, mimeType: image.contentType, blob: bytes.toString('base64') }] };
    } catch (error) {
      throw resourceError(error, uri, address);
    }
  });
}

function tooLarge({ filename, provider }: Image): ProtocolError {
  const way = `image-storage get ${filename} --provider ${provider}`;
  return new ProtocolError(ProtocolErrorCode.InvalidParams, `Too large for a resource; the command reads it: ${way}`);
}

function resourceError(error: unknown, uri: URL, address: string): Error {
  if (error instanceof ProtocolError) return error;
  const { reason } = error instanceof ImageStorageError ? error : {};
  if (reason === 'IMAGE_NOT_FOUND' || reason === 'PROVIDER_NOT_FOUND') return new ResourceNotFoundError(uri.href);
  return new ProtocolError(ProtocolErrorCode.InternalError, explain(error, address));
}
