/** The label that says that an image was made by a machine: the one part of its metadata that a preview keeps. */

/** Of the vocabulary of IPTC, which XMP and C2PA use; see cv.iptc.org/newscodes/digitalsourcetype. */
const PREFIX = 'digitalsourcetype/';
const MADE_BY_MACHINES = [
  'trainedAlgorithmicMedia',
  'compositeWithTrainedAlgorithmicMedia',
  'compositeSynthetic',
  'algorithmicallyEnhanced',
  'algorithmicMedia',
];
const LONGEST = PREFIX.length + Math.max(...MADE_BY_MACHINES.map(({ length }) => length)) + 1;

/** Looks for the label in bytes that come in parts: it stands in them as text, in XMP and in C2PA. */
export class LabelSearch {
  #found: string | undefined;
  /** The end of the part before, in which a label may have begun. */
  #rest: Buffer = Buffer.alloc(0);

  /** The term of the vocabulary; undefined: none was there. */
  get found(): string | undefined {
    return this.#found;
  }

  add(part: Buffer): void {
    if (this.#found !== undefined) return;
    const seam = Buffer.concat([this.#rest, part.subarray(0, LONGEST)]);
    this.#found = termIn(seam) ?? termIn(part);
    this.#rest = Buffer.from(part.subarray(-LONGEST));
  }
}

function termIn(bytes: Buffer): string | undefined {
  for (let at = bytes.indexOf(PREFIX); at >= 0; at = bytes.indexOf(PREFIX, at + 1)) {
    const word = /^\w+/.exec(bytes.toString('latin1', at + PREFIX.length, at + LONGEST))?.[0];
    if (word !== undefined && MADE_BY_MACHINES.includes(word)) return word;
  }
  return undefined;
}

/** Returns XMP that says nothing else. */
export function xmpOf(term: string): string {
  const source = `http://cv.iptc.org/newscodes/${PREFIX}${term}`;
  return (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">' +
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" ' +
    `Iptc4xmpExt:DigitalSourceType="${source}"/></rdf:RDF></x:xmpmeta>`
  );
}
