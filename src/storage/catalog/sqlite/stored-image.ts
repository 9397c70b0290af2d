/** Reads of an image in the catalog what a search needs, when it needs it, and keeps its settings. */
import type { ImageRecord } from '../../domain/record.ts';
import { generationText, parseGeneration, type Settings, settingsOf } from '../generation-settings.ts';
import type { Searched } from '../search-fields.ts';
import type { Connection } from './connection.ts';
import type { Row } from './rows.ts';

const COLUMNS = `
  SELECT model, category, tags, pinned, filename, sha256, content_type, width, height, timestamp
  FROM images WHERE seq = ?`;

/** Reads and keeps columns on first use; the long ones for themselves. */
export class StoredImage implements Searched {
  readonly #db: Connection;
  readonly #seq: number;
  #row: Row | undefined;
  #prompt: string | undefined;
  #settings: Settings | undefined;

  constructor(db: Connection, seq: number) {
    this.#db = db;
    this.#seq = seq;
  }

  get prompt(): string {
    this.#prompt ??= this.#db.value('SELECT prompt FROM images WHERE seq = ?', this.#seq) as string;
    return this.#prompt;
  }

  get settings(): Settings {
    this.#settings ??= readSettings(this.#db, this.#seq) ?? settingsOf(this.#texts);
    return this.#settings;
  }

  get #texts(): Pick<ImageRecord, 'prompt' | 'parametersJson'> {
    const sql = 'SELECT parameters_json FROM images WHERE seq = ?';
    return { prompt: this.prompt, parametersJson: this.#db.value(sql, this.#seq) as string };
  }

  get model(): string {
    return this.#column('model') as string;
  }

  get category(): string {
    return this.#column('category') as string;
  }

  get tags(): string[] {
    return JSON.parse(this.#column('tags') as string);
  }

  get pinned(): boolean {
    return this.#column('pinned') === 1;
  }

  get filename(): string {
    return this.#column('filename') as string;
  }

  get sha256(): string {
    return this.#column('sha256') as string;
  }

  get contentType(): string {
    return this.#column('content_type') as string;
  }

  get width(): number {
    return this.#column('width') as number;
  }

  get height(): number {
    return this.#column('height') as number;
  }

  get timestamp(): number {
    return this.#column('timestamp') as number;
  }

  #column(name: string): Row[string] {
    this.#row ??= this.#db.get(COLUMNS, this.#seq)!;
    return this.#row[name]!;
  }
}

export function writeSettings(db: Connection, seq: number, { generation, hasWorkflow }: Settings): void {
  const sql = 'INSERT OR REPLACE INTO settings (seq, has_workflow, generation) VALUES (?, ?, ?)';
  db.run(sql, seq, Number(hasWorkflow), generationText(generation));
}

function readSettings(db: Connection, seq: number): Settings | undefined {
  const row = db.get('SELECT has_workflow, generation FROM settings WHERE seq = ?', seq);
  return row && { hasWorkflow: row.has_workflow === 1, generation: parseGeneration(row.generation as string) };
}
