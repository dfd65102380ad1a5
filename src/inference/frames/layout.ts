/** How processes of one server speak to each other: frames of a length (uint32) and that many bytes, all numbers little-endian. Pure. */

/** Bytes of a frame that the other side may send: more is a fault of that side. */
export const FRAME_BYTES_MAX = 2 ** 31 - 1
export const LENGTH_BYTES = 4
export const DIMENSIONS_MAX = 255

/** Puts bytes into a file that both sides have open, and gives their place there; undefined where they belong in the frame. */
export type StoreBytes = (bytes: Uint8Array) => number | undefined
/** Gives the bytes at a place of that file: memory whose offset is a multiple of 8, which nothing else changes while it is used. */
export type ReadBytes = (offset: number, length: number) => Uint8Array

/** Ends with the error of a frame that does not add up. */
export function broken(what: string): never {
  throw new Error(`the protocol was broken: ${what}`)
}
