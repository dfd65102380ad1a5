import { broken, FRAME_BYTES_MAX, LENGTH_BYTES } from './layout.ts'

/** Puts the pieces that a socket gives together to frames, each without its length. */
export class FrameAssembler {
  #pieces: Uint8Array[] = []
  #length = 0

  /**
   * Takes the next piece and hands over each frame that is whole: a view, valid until `use` returns.
   * @throws Error where a length is over `FRAME_BYTES_MAX`
   */
  push(piece: Uint8Array, use: (frame: Uint8Array) => void): void {
    const whole = this.#length === 0 ? piece : this.#joined(piece)
    if (whole === undefined) return
    let begin = 0
    while (whole.length - begin >= LENGTH_BYTES) {
      const end = begin + LENGTH_BYTES + lengthOf(whole, begin)
      if (whole.length < end) break
      use(whole.subarray(begin + LENGTH_BYTES, end))
      begin = end
    }
    this.#pieces = begin === whole.length ? [] : [whole.subarray(begin)]
    this.#length = whole.length - begin
  }

  /** All pieces in one, once they hold the next frame; undefined before. */
  #joined(piece: Uint8Array): Uint8Array | undefined {
    this.#pieces.push(piece)
    this.#length += piece.length
    const [first] = this.#pieces
    if (first !== undefined && first.length >= LENGTH_BYTES && this.#length < LENGTH_BYTES + lengthOf(first, 0)) return undefined
    return Buffer.concat(this.#pieces, this.#length)
  }
}

function lengthOf(bytes: Uint8Array, at: number): number {
  // By hand: a view of the bytes of each frame costs more than reading them.
  const length =
    (bytes[at] ?? 0) + (bytes[at + 1] ?? 0) * 2 ** 8 + (bytes[at + 2] ?? 0) * 2 ** 16 + (bytes[at + 3] ?? 0) * 2 ** 24
  return length > FRAME_BYTES_MAX ? broken('a frame is too long') : length
}
