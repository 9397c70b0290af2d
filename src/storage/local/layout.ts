/** Where everything lies below the base path of a local store. */
import { join, resolve } from 'node:path';
import { folderOf } from '../domain/naming.ts';

export class Layout {
  readonly basePath: string;
  readonly images: string;
  readonly records: string;
  readonly metadata: string;
  readonly staging: string;
  readonly logs: string;
  readonly quarantine: string;
  readonly auditLog: string;
  readonly catalog: string;
  readonly lock: string;
  readonly format: string;
  readonly reserve: string;
  /** Size and time of the catalog at the last clean stop: one that somebody touched since is looked through. */
  readonly clean: string;
  /** Its presence asks the next start to rebuild the catalog. */
  readonly rebuild: string;

  constructor(base: string) {
    this.basePath = resolve(base);
    const { basePath } = this;
    this.images = join(basePath, 'images', 'generations');
    this.metadata = join(basePath, 'metadata');
    this.records = join(this.metadata, 'generations');
    this.staging = join(this.metadata, 'staging');
    this.logs = join(this.metadata, 'logs');
    this.quarantine = join(this.metadata, 'quarantine');
    this.auditLog = join(this.logs, 'audit.jsonl');
    this.catalog = join(this.metadata, 'catalog.db');
    this.lock = join(this.metadata, 'lock.db');
    this.format = join(this.metadata, 'FORMAT');
    this.reserve = join(this.metadata, 'reserve');
    this.clean = join(this.metadata, 'CLEAN');
    this.rebuild = join(this.metadata, 'REBUILD');
  }

  /** The final path of an image; the filename must be one of ours. */
  image(filename: string): string {
    return join(this.images, folderOf(filename)!, filename);
  }

  record(filename: string): string {
    return join(this.records, folderOf(filename)!, `${filename}.json`);
  }

  part(filename: string): string {
    return join(this.staging, `${filename}.part`);
  }

  stagedRecord(filename: string): string {
    return join(this.staging, `${filename}.json`);
  }
}
