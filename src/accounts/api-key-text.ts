import { createHash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const ID_LENGTH = 12
/** 62^43 is more than 2^256. */
const SECRET_LENGTH = 43
const CHECKSUM_LENGTH = 6
const FORM = /^vst_([0-9A-Za-z]{12})_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$/
const ID = /^[0-9A-Za-z]{12}$/

/** A key and its parts. The text is shown once, when it is made. */
export interface ApiKeyText {
  readonly id: string
  readonly text: string
  /** What the store keeps: SHA-256 of the text. Its 256 random bits need no slow hash. */
  readonly hash: string
}

/** Makes a key: `vst_<id>_<secret>_<checksum>`. The beginning and the checksum are for those who look for keys that leaked. */
export function makeApiKey(): ApiKeyText {
  const id = randomText(ID_LENGTH)
  const body = `vst_${id}_${randomText(SECRET_LENGTH)}`
  const text = `${body}_${checksumOf(body)}`
  return { id, text, hash: hashOfApiKey(text) }
}

/** The id in a key; undefined where the text is none, or was mistyped. */
export function apiKeyId(text: string): string | undefined {
  const id = FORM.exec(text)?.[1]
  const body = text.slice(0, -CHECKSUM_LENGTH - 1)
  return id !== undefined && checksumOf(body) === text.slice(-CHECKSUM_LENGTH) ? id : undefined
}

/** True for what could be the id of a key. */
export function isApiKeyId(text: string): boolean {
  return ID.test(text)
}

/** What the store keeps of a key. */
export function hashOfApiKey(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

function checksumOf(body: string): string {
  let rest = crc32(body)
  let text = ''
  while (text.length < CHECKSUM_LENGTH) {
    text = `${ALPHABET[rest % ALPHABET.length]}${text}`
    rest = Math.floor(rest / ALPHABET.length)
  }
  return text
}

/** Each character by itself, and bytes that would favour some are thrown away. */
function randomText(length: number): string {
  let text = ''
  while (text.length < length) {
    for (const byte of randomBytes(length)) if (byte < 248 && text.length < length) text += ALPHABET[byte % ALPHABET.length]
  }
  return text
}
