import { expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { ALGORITHMS, type Algorithm, algorithmsOf, isAlgorithm } from '../../../src/jose/algorithms.ts'
import { generateKey } from '../../../src/jose/generate-key.ts'
import { importJwk } from '../../../src/jose/keys.ts'
import { createSignature } from '../../../src/jose/signature-backends/boring.ts'

const NAMES = Object.keys(ALGORITHMS) as Algorithm[]

test('what is said of each algorithm is so', () => {
  for (const name of NAMES) {
    const { kind, hash, hashBytes, signatureBytes } = ALGORITHMS[name]
    // Ed25519 hashes with SHA-512 by itself.
    expect([name, hashBytes]).toEqual([name, createHash(hash === '' ? 'sha512' : hash).digest().length])
    const { length } = createSignature(importJwk(generateKey(name).secret), name, 'signed')
    // The length of RSA's is that of its key, which is made here with 3072 bits.
    expect([name, kind === 'RSA' ? 384 : signatureBytes, kind === 'RSA' ? signatureBytes : 0]).toEqual([name, length, 0])
  }
})

test('a name is one of the list, to the letter', () => {
  expect(NAMES.every(isAlgorithm)).toBe(true)
  for (const name of ['none', 'hs256', 'constructor', '', ['HS256'], undefined, null, 7])
    expect([name, isAlgorithm(name)]).toEqual([name, false])
  expect(algorithmsOf('oct')).toEqual(['HS256', 'HS384', 'HS512'])
  expect(algorithmsOf('RSA')).toEqual(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'])
  expect([algorithmsOf('EC'), algorithmsOf('OKP')]).toEqual([['ES256', 'ES384', 'ES512'], ['EdDSA']])
})
