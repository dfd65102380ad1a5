import { afterAll, describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadSettings } from '../../../src/config/load.ts'
import { generateKey } from '../../../src/jose/generate-key.ts'
import { addKey, type KeyRing } from '../../../src/jose/key-ring.ts'
import { formatKeyFile, type StoredSecret } from '../../../src/keys/key-file.ts'
import { loadKeys } from '../../../src/server/load-keys.ts'
import { SECRET } from '../../support/tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-load-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Loads the keys of an environment in production mode, in a folder of its own. */
function load(environment: Readonly<Record<string, string>>) {
  return loadKeys(loadSettings({ flags: {}, environment, directory: folder }).settings, 'production')
}

function write(name: string, content: string): string {
  const path = join(folder, name)
  writeFileSync(path, content, { mode: 0o600 })
  return path
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const rsaPem = rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const algorithmsOf = (environment: Readonly<Record<string, string>>) => load(environment).keys.map(({ algorithms }) => algorithms)

describe('the keys of a server', () => {
  test('are each for one algorithm: the setting’s, the one they name, or the usual one of their kind (RFC 8725 §3.1)', () => {
    const jwk = rsa.publicKey.export({ format: 'jwk' })
    expect(algorithmsOf({ VESTAL_KEY: rsaPem })).toEqual([['RS256']])
    expect(algorithmsOf({ VESTAL_KEY: rsaPem, VESTAL_ALGORITHM: 'PS512' })).toEqual([['PS512']])
    expect(algorithmsOf({ VESTAL_KEY: JSON.stringify(jwk) })).toEqual([['RS256']])
    expect(algorithmsOf({ VESTAL_KEY: JSON.stringify({ ...jwk, alg: 'PS256' }) })).toEqual([['PS256']])
    expect(algorithmsOf({ VESTAL_SECRET: SECRET })).toEqual([['HS256']])
    expect(algorithmsOf({ VESTAL_SECRET: SECRET, VESTAL_ALGORITHM: 'HS512' })).toEqual([['HS512']])
    expect(algorithmsOf({ VESTAL_KEY: JSON.stringify({ kty: 'oct', k: Buffer.from(SECRET).toString('base64url') }) })).toEqual([
      ['HS256'],
    ])
  })

  test('that Flama shares are for every HMAC, since its tokens may name any', () => {
    expect(algorithmsOf({ VESTAL_SECRET: SECRET, VESTAL_INTEROP: 'flama' })).toEqual([['HS256', 'HS384', 'HS512']])
  })

  test('of a key file are for the algorithm of the setting, or are rejected', () => {
    const ring = addKey({ keys: [] } as KeyRing<StoredSecret>, { ...generateKey('EdDSA'), createdAt: 1 }, { now: 1 })
    const path = write('ring.json', formatKeyFile({ ring }))
    expect(algorithmsOf({ VESTAL_KEY_FILE: path })).toEqual([['EdDSA']])
    expect(algorithmsOf({ VESTAL_KEY_FILE: path, VESTAL_ALGORITHM: 'EdDSA' })).toEqual([['EdDSA']])
    expect(() => load({ VESTAL_KEY_FILE: path, VESTAL_ALGORITHM: 'ES256' })).toThrow('is for EdDSA, not for ES256')
    const empty = write('empty.json', formatKeyFile({ ring: { keys: [] } }))
    expect(() => load({ VESTAL_KEY_FILE: empty })).toThrow('no key is active; `vestal keys generate` makes one')
  })

  test('are published where they sign, and not where others sign with them', () => {
    const publicPem = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString()
    expect(load({ VESTAL_KEY: rsaPem }).published.keys).toEqual([
      expect.objectContaining({ kty: 'RSA', alg: 'RS256', use: 'sig' }),
    ])
    for (const environment of [{ VESTAL_KEY: publicPem }, { VESTAL_SECRET: SECRET }])
      expect(load(environment).published).toEqual({ keys: [] })
    expect(JSON.stringify(load({ VESTAL_KEY: rsaPem }).published)).not.toMatch(/"(?:d|p|q|dp|dq|qi)":/)
  })
})
