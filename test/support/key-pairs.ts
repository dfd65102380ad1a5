import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { ALGORITHMS, type Algorithm } from '../../src/jose/algorithms.ts'
import { noteSecret } from './secrets.ts'

export interface KeyPair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

/** All algorithms that Vestal knows. */
export const ALGORITHM_NAMES = Object.keys(ALGORITHMS) as readonly Algorithm[]

/** A new pair of keys for an asymmetric algorithm. */
export function makeKeyPair(algorithm: Algorithm): KeyPair {
  const pair = newPair(algorithm)
  noteSecret(pair.privateKey.export({ format: 'jwk' }).d ?? '')
  return pair
}

function newPair(algorithm: Algorithm): KeyPair {
  const { kind, curve = '' } = ALGORITHMS[algorithm]
  if (kind === 'RSA') return generateKeyPairSync('rsa', { modulusLength: 2048 })
  return kind === 'EC' ? generateKeyPairSync('ec', { namedCurve: curve }) : generateKeyPairSync('ed25519')
}

const made = new Map<string, KeyPair>()

/** The pair that all tests of an asymmetric algorithm share; one is enough for all of RSA's. Undefined for HMAC. */
export function keyPairOf(algorithm: Algorithm): KeyPair | undefined {
  const { kind, curve = '' } = ALGORITHMS[algorithm]
  if (kind === 'oct') return undefined
  const name = `${kind} ${curve}`
  const pair = made.get(name) ?? makeKeyPair(algorithm)
  made.set(name, pair)
  return pair
}
