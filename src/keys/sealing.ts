import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto'
import { bytesOfBase64url, isCanonicalBase64url } from '../jose/base64url.ts'
import type { Jwk } from '../jose/jwk-members.ts'
import { KeyError } from '../jose/key-error.ts'

/** How a key file's passphrase becomes a key: scrypt (RFC 7914) with these parameters. */
export interface SealingParameters {
  readonly kdf: 'scrypt'
  /** The cost N, a power of two. */
  readonly cost: number
  readonly blockSize: number
  readonly parallelization: number
  /** 16 bytes, base64url. */
  readonly salt: string
}

/** A secret under AES-256-GCM, bound to the name of its key. */
export interface Sealed {
  /** 12 bytes, base64url, new for each secret. */
  readonly iv: string
  /** The ciphertext and its tag of 16 bytes, base64url. */
  readonly sealed: string
}

/** Seals and opens the secrets of a key file. */
export interface Sealer {
  readonly parameters: SealingParameters
  readonly seal: (kid: string, secret: Jwk) => Sealed
  /** @throws KeyError where the passphrase is another, or the file has been changed */
  readonly open: (kid: string, sealed: Sealed) => Jwk
}

/** OWASP's parameters for scrypt: 128 MiB and about a third of a second for each guess. */
const COST = 2 ** 17
/** What a file may ask for: less would be no protection, more would be an attack on the reader. */
const COST_MIN = 2 ** 14
const COST_MAX = 2 ** 20
const PARALLELIZATION_MAX = 4
const BLOCK_SIZE = 8
const IV_BYTES = 12
const TAG_BYTES = 16

/** Parameters with a new salt. */
export function newSealing(): SealingParameters {
  return { kdf: 'scrypt', cost: COST, blockSize: BLOCK_SIZE, parallelization: 1, salt: randomBytes(16).toString('base64url') }
}

/** True for parameters that this version makes or reads. */
export function isSealing(value: unknown): value is SealingParameters {
  if (typeof value !== 'object' || value === null) return false
  const { kdf, cost, blockSize, parallelization, salt } = value as Readonly<Record<string, unknown>>
  const isCost = typeof cost === 'number' && cost >= COST_MIN && cost <= COST_MAX && Number.isInteger(Math.log2(cost))
  const isParallel =
    Number.isInteger(parallelization) && Number(parallelization) >= 1 && Number(parallelization) <= PARALLELIZATION_MAX
  const isSalt = typeof salt === 'string' && isCanonicalBase64url(salt) && bytesOfBase64url(salt).length >= 16
  return kdf === 'scrypt' && isCost && blockSize === BLOCK_SIZE && isParallel && isSalt
}

/** Prepares a passphrase for a file's parameters: the slow step, once. */
export function createSealer(parameters: SealingParameters, passphrase: string): Sealer {
  const { cost: N, blockSize: r, parallelization: p, salt } = parameters
  const maxmem = 256 * N * r
  const key = scryptSync(passphrase.normalize('NFC'), bytesOfBase64url(salt), 32, { N, r, p, maxmem })
  return {
    parameters,
    seal(kid, secret) {
      const iv = randomBytes(IV_BYTES)
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(bound(kid))
      const parts = [cipher.update(JSON.stringify(secret), 'utf8'), cipher.final(), cipher.getAuthTag()]
      return { iv: iv.toString('base64url'), sealed: Buffer.concat(parts).toString('base64url') }
    },
    open(kid, { iv, sealed }) {
      const bytes = bytesOfBase64url(sealed)
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, bytesOfBase64url(iv)).setAAD(bound(kid))
        decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
        const text = Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]).toString('utf8')
        // The cast: what this sealed was a JWK; it is imported, and so checked, before it is used.
        return JSON.parse(text) as Jwk
      } catch {
        throw new KeyError('the passphrase is not the one that the keys were sealed with, or the file has been changed')
      }
    },
  }
}

/** A sealed secret moved under another key's name does not open. */
function bound(kid: string): Buffer {
  return Buffer.from(`vestal-keys 1 ${kid}`, 'utf8')
}

/** True for the form of a sealed secret. */
export function isSealed(value: unknown): value is Sealed {
  if (typeof value !== 'object' || value === null) return false
  const { iv, sealed } = value as Readonly<Record<string, unknown>>
  const isBytes = (text: unknown): text is string => typeof text === 'string' && isCanonicalBase64url(text)
  return isBytes(iv) && isBytes(sealed) && bytesOfBase64url(iv).length === IV_BYTES && bytesOfBase64url(sealed).length > TAG_BYTES
}
