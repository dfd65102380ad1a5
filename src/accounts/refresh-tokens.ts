import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'

/** Bytes of a refresh token: 256 bits. */
const TOKEN_BYTES = 32
const FORM = /^[\w-]{43}$/
const IV_BYTES = 12
const TAG_BYTES = 16

/** Makes a refresh token: it means nothing but its row in the store. */
export function makeRefreshToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url')
}

/** True for a text that could be one. */
export function isRefreshToken(text: string): boolean {
  return FORM.test(text)
}

/** What the store keeps of it. A token of 256 random bits needs no slow hash. */
export function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}

/** Encrypts a token under its parent: a client that sends the parent again gets the same successor, and the store cannot read it by itself. */
export function sealToken(token: string, parent: string): string {
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv('aes-256-gcm', keyOf(parent), iv)
  return Buffer.concat([iv, cipher.update(token), cipher.final(), cipher.getAuthTag()]).toString('base64url')
}

/** The token that was sealed under this parent; undefined where it was sealed under another. */
export function openToken(sealed: string, parent: string): string | undefined {
  const bytes = Buffer.from(sealed, 'base64url')
  const decipher = createDecipheriv('aes-256-gcm', keyOf(parent), bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]).toString('utf8')
  } catch {
    // GCM only says that key and text do not belong together, which is the answer.
    return undefined
  }
}

function keyOf(parent: string): Buffer {
  return Buffer.from(hkdfSync('sha256', parent, '', 'vestal refresh token successor', 32))
}
