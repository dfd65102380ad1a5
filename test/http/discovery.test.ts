import { afterAll, describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { createApp, type Jwk, type JwkSet, signJwt } from '../../src/index.ts'
import { importKeys } from '../../src/jose/key-set.ts'
import type { Key } from '../../src/jose/keys.ts'
import { publicKeySet } from '../../src/jose/public-key-set.ts'
import { answerOf, DOORS, failure } from '../support/doors.ts'
import { bundledEngine, createServer } from '../support/server.ts'

const KEYS = '/.well-known/jwks.json'
const METADATA = '/.well-known/oauth-authorization-server'
const engine = await bundledEngine()
afterAll(() => engine.stop())

const pairs = {
  EC: generateKeyPairSync('ec', { namedCurve: 'prime256v1' }),
  RSA: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  OKP: generateKeyPairSync('ed25519'),
}
const privateJwks = Object.values(pairs).map(({ privateKey }) => privateKey.export({ format: 'jwk' }) as Jwk)

for (const open of DOORS) {
  const doorOf = (options: Partial<Parameters<typeof createApp>[0]>) => open(createServer(engine, options))

  describe(`the key set, ${open(createServer(engine)).name}`, () => {
    const door = doorOf({ authentication: { keys: { keys: privateJwks } } })
    afterAll(door.close)

    test('holds the public part of each key, named by its thumbprint, and may be kept for a while', async () => {
      const response = await door.fetch(KEYS)
      expect([response.status, response.headers.get('cache-control'), response.headers.get('content-type')]).toEqual([
        200,
        'public, max-age=300',
        'application/json',
      ])
      const { keys } = (await response.json()) as JwkSet
      expect(keys.map(({ kty, use, alg }) => [kty, use, alg])).toEqual([
        ['EC', 'sig', 'ES256'],
        ['RSA', 'sig', 'RS256'],
        ['OKP', 'sig', 'EdDSA'],
      ])
      for (const key of keys) {
        expect(Object.keys(key).filter((name) => ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'].includes(name))).toEqual([])
        expect(key.kid).toMatch(/^[\w-]{43}$/)
      }
    })

    test('is enough for another library to check a token that is signed here', async () => {
      const set = createLocalJWKSet((await (await door.fetch(KEYS)).json()) as Parameters<typeof createLocalJWKSet>[0])
      for (const jwk of privateJwks) {
        expect((await jwtVerify(signJwt({ sub: 'me' }, jwk), set)).payload.sub).toBe('me')
      }
      const stranger = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }) as Jwk
      expect(jwtVerify(signJwt({ sub: 'me' }, stranger), set)).rejects.toThrow()
    })

    test('is empty where a secret signs, or others do', async () => {
      const publicOnly = { authentication: { keys: pairs.EC.publicKey.export({ format: 'jwk' }) as Jwk } }
      for (const options of [{}, publicOnly]) {
        const other = doorOf(options)
        expect(await answerOf(other.fetch(KEYS))).toEqual({ status: 200, body: { keys: [] } })
        await other.close()
      }
    })

    test('changes with the keys', async () => {
      const keysOf = (jwk: Jwk) => importKeys(jwk)
      const [first = {}, , second = {}] = privateJwks
      let now = keysOf(first)
      let tell: (keys: readonly Key[]) => void = () => undefined
      let set = publicKeySet(now)
      const ownKeys = {
        published: () => set,
        subscribe: (listener: typeof tell) => {
          tell = listener
        },
      }
      const live = doorOf({ authentication: { keys: now }, ownKeys })
      const ask = async (jwk: Jwk) => {
        const token = signJwt({ sub: 'me', data: { permissions: ['my-permission-name'] } }, jwk)
        return (await live.fetch('/private/info/', { headers: { authorization: `Bearer ${token}` } })).status
      }
      expect([await ask(first), await ask(second)]).toEqual([200, 401])
      now = keysOf(second)
      set = publicKeySet(now)
      tell(now)
      expect([await ask(first), await ask(second)]).toEqual([401, 200])
      expect(((await (await live.fetch(KEYS)).json()) as JwkSet).keys.map(({ kty }) => kty)).toEqual(['OKP'])
      await live.close()
    })
  })

  describe(`the metadata, ${open(createServer(engine)).name}`, () => {
    test('names the issuer to the letter, where its keys are, and nothing that there is not', async () => {
      for (const [issuer, base] of [
        ['https://vestal.example', 'https://vestal.example'],
        ['https://vestal.example/', 'https://vestal.example'],
        ['https://vestal.example/tenant/one', 'https://vestal.example/tenant/one'],
        ['http://127.0.0.1:8000', 'http://127.0.0.1:8000'],
      ] as const) {
        const door = doorOf({ issuer })
        // RFC 8414 §3.2: lists without elements are left out.
        const body = { issuer, jwks_uri: `${base}/.well-known/jwks.json` }
        expect(await answerOf(door.fetch(METADATA))).toEqual({ status: 200, body })
        // RFC 8414 §3.1
        if (issuer.includes('tenant')) expect(await answerOf(door.fetch(`${METADATA}/tenant/one`))).toEqual({ status: 200, body })
        await door.close()
      }
    })

    test('is not there where the issuer is no address', async () => {
      for (const issuer of [
        'me',
        'http://vestal.example',
        'https://vestal.example/?a=1',
        'https://vestal.example/#a',
        'https://',
      ]) {
        const door = doorOf({ issuer })
        expect(await answerOf(door.fetch(METADATA))).toEqual(failure(404, 'Not Found'))
        await door.close()
      }
      const { issuer: _, ...none } = { issuer: undefined, engine, authentication: { secret: 'x'.repeat(32) } }
      const door = open(createApp(none))
      expect(await answerOf(door.fetch(METADATA))).toEqual(failure(404, 'Not Found'))
      await door.close()
    })
  })
}
