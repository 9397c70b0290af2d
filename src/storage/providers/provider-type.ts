/** The contract of a provider type: its settings, and how to open and examine a provider. */
import type * as z from 'zod';
import type { Check } from '../doctor/check.ts';
import type { ProviderConfig } from '../domain/config.ts';
import type { ProviderContext, StorageProvider } from '../types.ts';

/** The location of a provider's images, which no other provider of a configuration may use. */
export interface Root {
  /** The setting that determines it. */
  setting: string;
  place: string;
  /** The noun for it in messages. */
  kind: 'folder' | 'store';
  /** Whether other providers may use it, which must be shared, too; unset: sharing is not supported. */
  shared?: boolean;
}

/** A type of provider: its settings, and the functions that open and examine one. */
export interface ProviderType<C extends ProviderConfig = ProviderConfig> {
  /** The value of `type` in the configuration, which defaults to the provider's name. */
  readonly type: string;
  /** Another name for it. */
  readonly alias?: string;
  /** A strict schema with kind, bounds, default and description of each setting. A description ends in `Default: ….` */
  readonly settings: z.ZodObject;
  /** False: a configuration file cannot express its settings. */
  readonly isConfigurable?: false;
  /** The setting that names its folder on this machine. */
  readonly folder: string;
  /** Returns the folders below `folder` in which no other provider may have its own. */
  ownFolders?(folder: string): string[];
  /** Returns the path at which a provider of this name may keep a file or folder of its own, beside its catalog. */
  stateFile(config: C, name: string, file: string): string;
  /** Describes for people where images are stored: `the bucket images`. */
  where(config: C): string;
  /** Returns the location of the images. Undefined when no two configurations can mean the same. */
  root?(config: C): Root;
  /**
   * Opens a provider. Imports its dependencies on first use. Rejects with a StoreOpenError that says which setting to
   * change.
   */
  open(config: C, context: ProviderContext): Promise<StorageProvider>;
  /** Checks what a daemon needs of it. Takes no lock, and removes what it writes. */
  examine(config: C, name: string, maxImageBytes: number): AsyncIterable<Check>;
}
