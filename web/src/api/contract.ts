/** The messages of the contract as JSON has them: the types of the page follow the proto, and none of its code is loaded. */
import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import type { Duration, Timestamp } from '@bufbuild/protobuf/wkt';
import type { Image, ImageStorage, ListResponse } from '../../../gen/imagestorage/v1/image_storage_pb.ts';

/** 64-bit numbers, bytes, times and enums are text; what is empty may be missing. */
export type Json<T> = T extends bigint | Uint8Array | Timestamp | Duration
  ? string
  : T extends number
    ? number extends T
      ? number
      : string
    : T extends readonly (infer Item)[]
      ? Json<Item>[]
      : T extends object
        ? { [Name in keyof T as Name extends `$${string}` ? never : Name]?: Json<T[Name]> }
        : T;

type Methods = typeof ImageStorage.method;
type MessageOf<Desc> = Desc extends DescMessage ? Json<MessageShape<Desc>> : never;

/** Those with one request and one answer. */
export type UnaryRpc = {
  [Name in keyof Methods]: Methods[Name]['methodKind'] extends 'unary' ? Name : never;
}[keyof Methods];
export type RequestOf<Name extends keyof Methods> = MessageOf<Methods[Name]['input']>;
export type ResponseOf<Name extends keyof Methods> = MessageOf<Methods[Name]['output']>;

export type ListJson = Json<ListResponse>;
export type ImageJson = Json<Image>;
