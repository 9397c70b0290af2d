/** The fingerprint of a save, which is kept in records: its value may never change. */
import { expect, it } from 'vitest';
import { fingerprint } from '../../src/storage/domain/fingerprint.ts';
import type { CheckedMetadata } from '../../src/storage/domain/validation.ts';

const NOTHING: CheckedMetadata = {
  prompt: '',
  model: '',
  timestamp: undefined,
  category: '',
  parametersJson: '',
  tags: [],
};
const FOX = { ...NOTHING, prompt: 'a red fox', model: 'flux-schnell', tags: ['fox'] };
const UNICODE: CheckedMetadata = {
  prompt: 'ein roter Fuchs 🦊 im Schnee, 窗台',
  model: 'black-forest-labs/FLUX.1 [dev]',
  timestamp: Date.UTC(2024, 8, 27, 14, 15, 22, 123),
  category: 'Crème',
  parametersJson: '{"seed":18446744073709551615}',
  tags: ['a', '猫', 'a'],
};

/** Of no bytes, and of `abc`. */
const SHA256_EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const SHA256_ABC = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';

/*
 * The expected values come from Python:
 *
 *   field = lambda b: struct.pack('>I', len(b)) + b
 *   texts = [prompt, model, str(timestamp_ms) or '', category, parameters_json]
 *   message = field(bytes.fromhex(sha256)) + b''.join(field(t.encode()) for t in texts)
 *   message += struct.pack('>I', len(tags)) + b''.join(field(t.encode()) for t in tags)
 *   hashlib.sha256(message).hexdigest()
 */
it.each([
  ['nothing', SHA256_EMPTY, NOTHING, '2ea13e7c3e13155fb1be8ec0a84c4129fea4e54e53a91c8558371fa653e35b9b'],
  [
    'every field, beyond ASCII',
    SHA256_ABC,
    UNICODE,
    'e856774736046cc1ce81e00761097faadea93d3eedb78b3b49f8770856a977b9',
  ],
  ['no timestamp', SHA256_ABC, FOX, 'cf22b6d0d67c0b7c3d881c918d46f5975f9b222ecc69ecde745e4aea15ac282b'],
  [
    'the timestamp 0',
    SHA256_ABC,
    { ...FOX, timestamp: 0 },
    'e18d1547503bf24d6d2d83cbe2c39a36118a3aefc24fe9593cd2f283874af892',
  ],
])('of %s', (_, sha256, metadata, expected) => {
  expect(fingerprint(sha256, metadata)).toBe(expected);
});
