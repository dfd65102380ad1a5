import { describe, expect, spyOn, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import { ALGORITHMS, type Algorithm } from '../../../src/jose/algorithms.ts'
import { importJwk, importSecret } from '../../../src/jose/keys.ts'
import { boringCheck, createSignature } from '../../../src/jose/signature-backends/boring.ts'
import { loadAddon } from '../../../src/jose/signature-backends/native.ts'
import { backendFor, type SignatureBackend, signatureBackends, warnOfFallback } from '../../../src/jose/signature-backends.ts'

const NAMES = Object.keys(ALGORITHMS) as Algorithm[]
// The cast: one for each of the names.
const all = (backend: SignatureBackend, others: object = {}) =>
  ({ ...Object.fromEntries(NAMES.map((name) => [name, backend])), ...others }) as Record<Algorithm, SignatureBackend>

describe('the backends at work', () => {
  test('are reported algorithm by algorithm', () => {
    expect(signatureBackends('boring').algorithms).toEqual(all('boring'))
    expect(signatureBackends('wasm').algorithms).toEqual(all('wasm'))
    expect(signatureBackends().algorithms).toEqual(all('boring', { HS256: 'native', HS384: 'native', HS512: 'native' }))
  })

  test('are native where that is asked for, but for ES512, which node-rs does not have', () => {
    expect(loadAddon().reason).toBeUndefined()
    expect(signatureBackends('native')).toEqual({ algorithms: all('native', { ES512: 'boring' }) })
  })

  test('are BoringSSL where the addon cannot be loaded, and the reason is reported', () => {
    const missing = loadAddon(join(import.meta.dir, 'nowhere.node'))
    expect(missing.verifySync).toBeUndefined()
    expect(missing.reason).toStartWith('@node-rs/jsonwebtoken cannot be loaded: ')
    expect(missing.reason).not.toContain(import.meta.dir)
    expect(signatureBackends('native', missing)).toEqual({ algorithms: all('boring'), fallback: missing.reason ?? '' })
    expect(signatureBackends('auto', missing)).toEqual({ algorithms: all('boring'), fallback: missing.reason ?? '' })
    expect(signatureBackends('boring', missing)).toEqual({ algorithms: all('boring') })
  })

  test('are reported one by one, too', () => {
    const missing = { reason: 'x' }
    expect([backendFor('HS256'), backendFor('RS256'), backendFor('HS256', 'auto', missing)]).toEqual([
      'native',
      'boring',
      'boring',
    ])
    expect([backendFor('RS256', 'native'), backendFor('ES512', 'native'), backendFor('RS256', 'native', missing)]).toEqual([
      'native',
      'boring',
      'boring',
    ])
    expect([backendFor('HS256', 'boring'), backendFor('HS256', 'wasm')]).toEqual(['boring', 'wasm'])
  })

  test('are said to be another where the addon is missing, once', () => {
    const written = spyOn(console, 'error').mockImplementation(() => undefined)
    try {
      warnOfFallback()
      warnOfFallback({})
      expect(written.mock.calls).toEqual([])
      warnOfFallback({ reason: 'it is missing' })
      warnOfFallback({ reason: 'it is missing' })
      expect(written.mock.calls).toEqual([['warning: it is missing; BoringSSL checks signatures in its place']])
    } finally {
      written.mockRestore()
    }
  })

  test('are BoringSSL too where the addon is another thing than it should be', () => {
    const { reason } = loadAddon('node:path')
    expect(reason).toContain('is broken')
  })
})

test('BoringSSL signs with what can sign, and checks HMAC with algorithms that have a hash', () => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const key = importJwk(publicKey.export({ format: 'jwk' }) as Record<string, unknown>)
  expect(() => createSignature(key, 'ES256', 'x')).toThrow('cannot sign')
  expect(() => boringCheck(importSecret('x'.repeat(32)), 'EdDSA')).toThrow('EdDSA has no hash')
})
