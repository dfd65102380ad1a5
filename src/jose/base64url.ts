import { isUtf8 } from 'node:buffer'

/** Characters of a text that is decoded without a buffer of its own; as many as the longest token. */
const TEXT_BYTES_MAX = 65_536
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const UNPADDED = /^[A-Za-z0-9_-]*$/
const PADDED = /^[A-Za-z0-9_-]*={0,2}$/

/** What each character of the alphabet stands for, by its code. */
const VALUES = Uint8Array.from({ length: 128 }, (_, code) => Math.max(0, ALPHABET.indexOf(String.fromCharCode(code))))

/**
 * True when the text is the one canonical base64url form of some bytes: RFC 7515 §2 (no padding, no other character)
 * and RFC 4648 §3.5 (unused bits are zero). `Buffer.from(text, 'base64url')` by itself accepts nonsense.
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

/** True when the unused bits of the last character are zero, and there is no character too many; for a text that has only characters of the alphabet. */
export function endsCanonically(text: string): boolean {
  const rest = text.length & 3
  if (rest === 0) return true
  // After two characters four bits are unused, after three characters two; a single character is no byte.
  const unused = rest === 2 ? 0b1111 : 0b11
  return rest !== 1 && ((VALUES[text.charCodeAt(text.length - 1)] ?? 0) & unused) === 0
}

/** The bytes of a text that one of the checks above has passed. */
export function bytesOfBase64url(text: string): Buffer {
  return Buffer.from(text, 'base64url')
}

/** Where texts are decoded, one after the other: a buffer for each costs three times as much. */
const decoded = Buffer.allocUnsafe(TEXT_BYTES_MAX)

/** The text whose UTF-8 a text that one of the checks above has passed stands for; undefined where that is no UTF-8. */
export function textOfBase64url(text: string): string | undefined {
  if (text.length > TEXT_BYTES_MAX) return textOf(bytesOfBase64url(text))
  const length = decoded.write(text, 'base64url')
  const plain = decoded.toString('utf8', 0, length)
  // What is no UTF-8 becomes this character, which may also have been there.
  return plain.includes('\ufffd') ? textOf(bytesOfBase64url(text)) : plain
}

function textOf(bytes: Buffer): string | undefined {
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined
}

/** The canonical base64url form of bytes, or of a text's UTF-8. */
export function toBase64url(content: Uint8Array | string): string {
  return Buffer.from(content as Uint8Array).toString('base64url')
}
