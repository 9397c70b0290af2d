/** Makes the messages of a List from its pages. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { ListResponseSchema } from '../../gen/imagestorage/v1/image_storage_pb.ts';
import type { Page } from '../storage/domain/requests.ts';
import { imageFrom } from './convert.ts';
import { encodeImages } from './image-bytes.ts';

type Batch = MessageInitShape<typeof ListResponseSchema>;

/** Returns the message for a page; `headers` are those of the request, which tell how it will be encoded. */
export function batchOf({ items, nextPageToken }: Page, headers: Headers): Batch {
  if (headers.get('content-type')?.includes('json')) return { images: items.map(imageFrom), nextPageToken };
  const batch = create(ListResponseSchema, { nextPageToken });
  // Fields that a class does not know are written as they are.
  batch.$unknown = encodeImages(ListResponseSchema.field.images.number, items);
  return batch;
}
