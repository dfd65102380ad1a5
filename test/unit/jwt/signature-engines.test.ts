import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { ALGORITHMS, type Algorithm } from '../../../src/jwt/algorithms.ts'
import { loadAddon } from '../../../src/jwt/engines/native.ts'
import { type ActiveEngine, signatureEngines } from '../../../src/jwt/signature-engines.ts'

const NAMES = Object.keys(ALGORITHMS) as Algorithm[]
// The cast: one for each of the names.
const all = (engine: ActiveEngine, others: object = {}) =>
  ({ ...Object.fromEntries(NAMES.map((name) => [name, engine])), ...others }) as Record<Algorithm, ActiveEngine>

describe('the engines at work', () => {
  test('are told algorithm by algorithm', () => {
    expect(signatureEngines('boring').algorithms).toEqual(all('boring'))
    expect(signatureEngines('wasm').algorithms).toEqual(all('wasm'))
    expect(signatureEngines().algorithms).toEqual(all('boring', { HS256: 'native', HS384: 'native', HS512: 'native' }))
  })

  test('are native where that is asked for, but for ES512, which node-rs does not have', () => {
    expect(loadAddon().reason).toBeUndefined()
    expect(signatureEngines('native')).toEqual({ algorithms: all('native', { ES512: 'boring' }) })
  })

  test('are BoringSSL where the addon cannot be loaded, and the reason is told', () => {
    const missing = loadAddon(join(import.meta.dir, 'nowhere.node'))
    expect(missing.verifySync).toBeUndefined()
    expect(missing.reason).toStartWith('@node-rs/jsonwebtoken cannot be loaded: ')
    expect(missing.reason).not.toContain(import.meta.dir)
    expect(signatureEngines('native', missing)).toEqual({ algorithms: all('boring'), fallback: missing.reason ?? '' })
    expect(signatureEngines('auto', missing)).toEqual({ algorithms: all('boring'), fallback: missing.reason ?? '' })
    expect(signatureEngines('boring', missing)).toEqual({ algorithms: all('boring') })
  })

  test('are BoringSSL too where the addon is another thing than it should be', () => {
    const { reason } = loadAddon('node:path')
    expect(reason).toContain('is broken')
  })
})
