import { createHash } from 'node:crypto'
import type { Key } from './keys.ts'

/** The members that a thumbprint is made of, in the order of RFC 7638 §3.2 and RFC 8037 §2. */
const MEMBERS = { EC: ['crv', 'kty', 'x', 'y'], OKP: ['crv', 'kty', 'x'], RSA: ['e', 'kty', 'n'] } as const

const remembered = new WeakMap<object, string>()

/**
 * The RFC 7638 thumbprint (SHA-256, base64url) of a key's public part. A shared secret has none: a hash of it would let anyone who
 * guesses whether the guess is right.
 */
export function thumbprintOf({ kind, verifying }: Pick<Key, 'kind' | 'verifying'>): string | undefined {
  if (kind === 'oct') return undefined
  const known = remembered.get(verifying)
  if (known !== undefined) return known
  const jwk = verifying.export({ format: 'jwk' }) as Readonly<Record<string, unknown>>
  const members = Object.fromEntries(MEMBERS[kind].map((name) => [name, jwk[name]]))
  const thumbprint = createHash('sha256').update(JSON.stringify(members)).digest('base64url')
  remembered.set(verifying, thumbprint)
  return thumbprint
}

/** What a key is called in a set and in a token's header: its `kid` where it has one, else the thumbprint of its public part. */
export function keyIdOf(key: Key): string | undefined {
  return key.kid ?? thumbprintOf(key)
}
