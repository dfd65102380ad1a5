/** Characters at a text's end that identify it: a token's are those of its signature, which are as good as random. */
const CHARACTERS = 8

/**
 * Recognises texts that it has seen before, in a fixed amount of memory. It forgets old ones and has false positives, so use it only to
 * decide what is worth caching.
 */
export class SeenFilter {
  readonly #marks: Uint32Array

  /** @param textsMax about how many texts it remembers */
  constructor(textsMax: number) {
    this.#marks = new Uint32Array(2 ** Math.ceil(Math.log2(Math.max(1, textsMax))))
  }

  /** Whether the text was seen before; from now on it was. */
  hasSeen(text: string): boolean {
    const mark = markOf(text)
    const index = mark & (this.#marks.length - 1)
    if (this.#marks[index] === mark) return true
    this.#marks[index] = mark
    return false
  }
}

/** FNV-1a of the last characters. */
function markOf(text: string): number {
  let mark = 0x811c9dc5
  for (let index = Math.max(0, text.length - CHARACTERS); index < text.length; index += 1) {
    mark = Math.imul(mark ^ text.charCodeAt(index), 0x01000193)
  }
  return mark >>> 0
}
