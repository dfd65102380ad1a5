import type { CompactJws } from '../compact.ts'

/** Answers whether a token's signature is right, and nothing else about it. */
export type SignatureCheck = (token: CompactJws) => boolean

/** Characters of a token that its signature covers: all before the last dot. */
export function signedCharacters({ header, payload }: CompactJws): number {
  return header.length + 1 + payload.length
}
