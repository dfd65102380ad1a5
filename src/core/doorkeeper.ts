/** Characters at a text's end that it is told by: of a token they are its signature's, which are as good as drawn by lot. */
const CHARACTERS = 8

/**
 * Tells texts that come again from texts that come once, in a fixed amount of memory. It forgets the oldest sooner or later and may take one
 * text for another, so it is for deciding what is worth keeping and for nothing else.
 */
export class Doorkeeper {
  readonly #marks: Uint32Array

  /** @param textsMax about how many texts it remembers */
  constructor(textsMax: number) {
    this.#marks = new Uint32Array(2 ** Math.ceil(Math.log2(Math.max(1, textsMax))))
  }

  /** True where the text has come before; it has from now on. */
  hasSeen(text: string): boolean {
    const mark = markOf(text)
    const place = mark & (this.#marks.length - 1)
    if (this.#marks[place] === mark) return true
    this.#marks[place] = mark
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
