const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const UNPADDED = /^[A-Za-z0-9_-]*$/
const PADDED = /^[A-Za-z0-9_-]*={0,2}$/

/** Last characters whose unused low bits are zero: after two characters (4 bits unused) and after three (2 bits unused). */
const ENDS_OF_TWO = new Set([...ALPHABET].filter((_, index) => index % 16 === 0))
const ENDS_OF_THREE = new Set([...ALPHABET].filter((_, index) => index % 4 === 0))

/**
 * True when the text is the one canonical base64url form of some bytes: RFC 7515 §2 (no padding, no other character)
 * and RFC 4648 §3.5 (unused bits are zero). `Buffer.from(text, 'base64url')` alone accepts nonsense.
 */
export function isCanonicalBase64url(text: string): boolean {
  return UNPADDED.test(text) && endsCanonically(text)
}

/** As `isCanonicalBase64url`, and padding up to a multiple of four is allowed too, as Flama writes it. */
export function isPaddedBase64url(text: string): boolean {
  if (!PADDED.test(text)) return false
  const unpadded = text.replace(/=+$/, '')
  return (unpadded.length === text.length || text.length % 4 === 0) && endsCanonically(unpadded)
}

function endsCanonically(text: string): boolean {
  const rest = text.length % 4
  if (rest === 0) return true
  if (rest === 1) return false
  const last = text.charAt(text.length - 1)
  return rest === 2 ? ENDS_OF_TWO.has(last) : ENDS_OF_THREE.has(last)
}

/** The bytes of a text that one of the checks above has passed. */
export function bytesOfBase64url(text: string): Buffer {
  return Buffer.from(text, 'base64url')
}

/** The canonical base64url form of bytes, or of a text's UTF-8. */
export function toBase64url(content: Uint8Array | string): string {
  return Buffer.from(content as Uint8Array).toString('base64url')
}
