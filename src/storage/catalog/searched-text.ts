/** What a catalog searches of an image, made before it is written: where many are, the thread that writes has less to do. */
import type { ImageRecord } from '../domain/record.ts';
import { type Settings, settingsOf } from './generation-settings.ts';
import { indexedText } from './search-fields.ts';

export interface SearchedText {
  settings: Settings;
  /** As the text index has it. */
  text: string;
}

export function searchedTextOf(record: ImageRecord): SearchedText {
  const settings = settingsOf(record);
  return { settings, text: indexedText({ ...record, settings }) };
}
