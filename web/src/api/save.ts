/** Saves a file as an image, and says how much of it is sent. */
import { CallError, errorOf, parsed } from './call.ts';
import type { ImageJson } from './contract.ts';
import { urlOf } from './root.ts';

export interface FileToSave {
  file: File;
  /** Empty: the default one. */
  provider: string;
  /** The same for each attempt: nothing is stored twice. */
  idempotencyKey: string;
}

export interface SaveOptions {
  signal: AbortSignal;
  onSent(bytes: number): void;
}

/** Rejects as `getJson`. By XMLHttpRequest, since fetch does not tell what is sent. */
export function saveFile({ file, provider, idempotencyKey }: FileToSave, { signal, onSent }: SaveOptions) {
  const { promise, resolve, reject } = Promise.withResolvers<ImageJson>();
  const request = new XMLHttpRequest();
  request.open('POST', urlOf('images'));
  request.setRequestHeader('idempotency-key', idempotencyKey);
  request.upload.onprogress = ({ loaded }) => onSent(Math.min(loaded, file.size));
  request.onload = () => {
    const json = parsed(request.responseText);
    const { image } = (json ?? {}) as { image?: ImageJson };
    if (request.status < 300 && image !== undefined) resolve(image);
    else reject(errorOf({ status: request.status, headers: headersOf(request) }, json));
  };
  request.onerror = () => reject(new CallError('the daemon does not answer', { reason: 'OFFLINE' }));
  request.onabort = () => reject(signal.reason);
  signal.addEventListener('abort', () => request.abort(), { once: true });
  request.send(formOf(file, provider));
  return promise;
}

/** The file comes last; its date is that of the image, as in an import. */
function formOf(file: File, provider: string): FormData {
  const form = new FormData();
  if (provider !== '') form.set('provider', provider);
  form.set('timestamp', new Date(Math.max(0, file.lastModified)).toISOString());
  form.set('size', `${file.size}`);
  form.set('file', file);
  return form;
}

function headersOf(request: XMLHttpRequest): Headers {
  const retryAfter = request.getResponseHeader('retry-after');
  return new Headers(retryAfter === null ? {} : { 'retry-after': retryAfter });
}
