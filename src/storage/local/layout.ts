/** The paths of a local store below its base path. */
import { join, resolve } from 'node:path';
import { folderOf } from '../domain/naming.ts';

export class Layout {
  readonly basePath: string;
  readonly images: string;
  readonly records: string;
  readonly metadata: string;
  readonly staging: string;
  /** What was deleted and can be brought back. */
  readonly trash: string;
  readonly trashedImages: string;
  readonly trashedRecords: string;
  readonly logs: string;
  readonly quarantine: string;
  /** Small copies of images, which can be made again. */
  readonly previews: string;
  readonly auditLog: string;
  readonly catalog: string;
  readonly lock: string;
  readonly format: string;
  readonly reserve: string;
  /** Size and mtime of the catalog at the last clean stop: a catalog that differs was changed since, and is checked. */
  readonly clean: string;
  /** The generation of the catalog at the last start or clean stop. */
  readonly generation: string;
  /** Its presence asks the next start to rebuild the catalog. */
  readonly rebuild: string;
  /** When the retention policies ran. */
  readonly policyRuns: string;

  constructor(base: string) {
    this.basePath = resolve(base);
    const { basePath } = this;
    this.images = join(basePath, 'images', 'generations');
    this.metadata = join(basePath, 'metadata');
    this.records = join(this.metadata, 'generations');
    this.staging = join(this.metadata, 'staging');
    this.trash = join(this.metadata, 'trash');
    this.trashedImages = join(this.trash, 'images', 'generations');
    this.trashedRecords = join(this.trash, 'generations');
    this.logs = join(this.metadata, 'logs');
    this.quarantine = join(this.metadata, 'quarantine');
    this.previews = join(this.metadata, 'previews');
    this.auditLog = join(this.logs, 'audit.jsonl');
    this.catalog = join(this.metadata, 'catalog.db');
    this.lock = join(this.metadata, 'lock.db');
    this.format = join(this.metadata, 'FORMAT');
    this.reserve = join(this.metadata, 'reserve');
    this.clean = join(this.metadata, 'CLEAN');
    this.generation = join(this.metadata, 'GENERATION');
    this.rebuild = join(this.metadata, 'REBUILD');
    this.policyRuns = join(this.metadata, 'retention.json');
  }

  /** Files and folders that must be writable if they exist. */
  get files(): string[] {
    const { trashedRecords, trashedImages } = this;
    const folders = [this.staging, this.logs, this.records, this.images, trashedRecords, trashedImages];
    return [...folders, this.catalog, this.lock, this.format];
  }

  /** Returns the final path of an image. Requires a filename in the format of a store. */
  image(filename: string): string {
    return join(this.images, folderOf(filename)!, filename);
  }

  record(filename: string): string {
    return join(this.records, folderOf(filename)!, `${filename}.json`);
  }

  trashedImage(filename: string): string {
    return join(this.trashedImages, folderOf(filename)!, filename);
  }

  trashedRecord(filename: string): string {
    return join(this.trashedRecords, folderOf(filename)!, `${filename}.json`);
  }

  part(filename: string): string {
    return join(this.staging, `${filename}.part`);
  }

  stagedRecord(filename: string): string {
    return join(this.staging, `${filename}.json`);
  }
}
