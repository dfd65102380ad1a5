import { createHmac } from 'node:crypto'
import { noteSecret } from './secrets.ts'

/** A shared secret for tests: 64 bytes, long enough for every HMAC. */
export const SECRET = noteSecret('a secret for tests alone, of sixty-four bytes and not one more!!')

const LIFETIME_SECONDS = 3600

export interface Parts {
  readonly header?: unknown
  readonly payload?: unknown
  readonly secret?: string | Uint8Array
  readonly hash?: 'sha256' | 'sha384' | 'sha512'
  /** Replaces the signature that would be right. */
  readonly signature?: string
}

/** Seconds since 1970, now. */
export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000)
}

/** A token made by hand and not by the code under test; a part that is a text is encoded as it is. */
export function makeToken({ header, payload, secret = SECRET, hash = 'sha256', signature }: Parts = {}): string {
  const input = `${encode(header ?? { alg: 'HS256', typ: 'JWT' })}.${encode(payload ?? { exp: nowSeconds() + LIFETIME_SECONDS })}`
  return `${input}.${signature ?? createHmac(hash, secret).update(input).digest('base64url')}`
}

/** A token that grants these permissions, valid for an hour: a file of tests may take minutes on a busy machine. */
export function tokenWith(permissions: readonly string[], claims: Readonly<Record<string, unknown>> = {}): string {
  return makeToken({ payload: { sub: 'tester', exp: nowSeconds() + LIFETIME_SECONDS, data: { permissions }, ...claims } })
}

/** The header that carries a token which grants these permissions. */
export function bearer(...permissions: readonly string[]): { authorization: string } {
  return { authorization: `Bearer ${tokenWith(permissions)}` }
}

function encode(part: unknown): string {
  return Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')
}
