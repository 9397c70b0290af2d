/** The ThumbHash of each image, which is made of its pixels once they are decoded. */

export const THUMB_HASHES = `
  -- Of images that are live or in the trash. thumb_hash is base64, or empty where the image cannot be decoded.
  CREATE TABLE thumb_hashes (seq INTEGER PRIMARY KEY, thumb_hash TEXT NOT NULL) STRICT;
`;
