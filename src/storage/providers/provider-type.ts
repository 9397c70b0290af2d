/** The contract of a type of provider: what its settings are, and how one is opened and examined. */
import type * as z from 'zod';
import type { Check } from '../doctor/check.ts';
import type { ProviderConfig } from '../domain/config.ts';
import type { ProviderContext, StorageProvider } from '../types.ts';

/** Where the images of a provider lie, which no other provider of a configuration may have. */
export interface Root {
  /** The setting that chose it. */
  setting: string;
  place: string;
  /** What it is, in words. */
  kind: 'folder' | 'store';
  /** Whether it takes others beside it, who must say so too; unset: it cannot. */
  shared?: boolean;
}

export interface ProviderType<C extends ProviderConfig = ProviderConfig> {
  /** What `type` in the configuration says, and the name of a provider that says none. */
  readonly type: string;
  /** Another word for it. */
  readonly alias?: string;
  /** Strict; with kind, bounds, default and meaning of each setting. A description ends in `Default: ….` */
  readonly settings: z.ZodObject;
  /** False: its settings are none that a configuration file can express. */
  readonly isConfigurable?: false;
  /** The setting that names its folder on this machine. */
  readonly folder: string;
  /** What nothing of another provider may lie in, below that folder. */
  ownFolders?(folder: string): string[];
  /** Where images go, for people: `the bucket images`. */
  where(config: C): string;
  /** Undefined where no two configurations can mean the same. */
  root?(config: C): Root;
  /** Rejects with a StoreOpenError that says which setting to change. Loads on first use what it needs. */
  open(config: C, context: ProviderContext): Promise<StorageProvider>;
  /** Proves what a daemon will need of it; takes no lock, and removes what it writes. */
  examine(config: C, name: string, maxImageBytes: number): AsyncIterable<Check>;
}
