import { describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { jwtVerify } from 'jose'
import { decodeJwt, VestalError, verifyJwt } from '../../src/index.ts'
import { Workplace } from '../support/command-line.ts'
import { startKeyServer, testKey } from '../support/key-server.ts'
import { nowSeconds, SECRET } from '../support/tokens.ts'

const PRODUCTION = { NODE_ENV: 'production' }
const [A, B, C] = [testKey('a'), testKey('b'), testKey('c')]
const claims = (iss: string, scope: string) => ({ iss, aud: 'vestal', sub: 'me', exp: nowSeconds() + 60, scope })
const ask = async (base: string, token: string) =>
  (await fetch(`${base}/private/info/`, { headers: { authorization: `Bearer ${token}` } })).status

describe('vestal start with other issuers', () => {
  test('accepts the tokens of each of them, and no key of its own is needed', async () => {
    await using keyServer = startKeyServer(A)
    using place = new Workplace()
    writeFileSync(join(place.folder, 'two.json'), JSON.stringify({ keys: [B.jwk, { ...C.jwk, use: 'enc' }] }))
    const toml = `
      [[issuers]]
      name = "https://one.example"
      jwks_url = "${keyServer.url}"
      audiences = ["vestal"]
      permission_claims = ["scope"]
      grants = { reader = ["my-permission-name"] }

      [[issuers]]
      name = "https://two.example"
      key_file = "two.json"
      audiences = ["vestal"]
      permission_claims = ["scope"]
      may_grant = ["model:*:read"]`
    writeFileSync(join(place.folder, 'vestal.toml'), toml)
    const { base, output, child } = await place.start([], PRODUCTION)
    // The start screen wraps its lines.
    expect(output.replaceAll(/\s+/g, ' ')).toContain(
      'Keys no key of its own, the issuer https://one.example, the issuer https://two.example',
    )
    expect(await ask(base, A.sign(claims('https://one.example', 'reader')))).toBe(200)
    expect(await ask(base, A.sign(claims('https://one.example', 'my-permission-name')))).toBe(403)
    expect(await ask(base, B.sign(claims('https://two.example', 'my-permission-name')))).toBe(403)
    expect(await ask(base, B.sign(claims('https://one.example', 'reader')))).toBe(401)
    expect(await ask(base, C.sign(claims('https://two.example', 'my-permission-name')))).toBe(401)
    expect((await fetch(`${base}/auth/`, { method: 'POST', body: '{}' })).status).toBe(404)
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  })

  test('takes one issuer from the environment alone', async () => {
    await using keyServer = startKeyServer(A)
    using place = new Workplace()
    const { base, child } = await place.start([], {
      ...PRODUCTION,
      VESTAL_JWKS_URL: keyServer.url,
      VESTAL_ISSUER: 'https://one.example',
      VESTAL_AUDIENCE: 'vestal',
      VESTAL_PERMISSION_CLAIM: 'scope',
    })
    expect(await ask(base, A.sign(claims('https://one.example', 'my-permission-name')))).toBe(200)
    expect(await ask(base, A.sign(claims('https://two.example', 'my-permission-name')))).toBe(401)
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  })

  test('serves, with a warning, where their keys cannot be had', async () => {
    await using keyServer = startKeyServer()
    using place = new Workplace()
    const environment = { ...PRODUCTION, VESTAL_ISSUER: 'https://one.example', VESTAL_AUDIENCE: 'vestal' }
    const { base, child } = await place.start(['--jwks-url', keyServer.url], environment)
    expect(await ask(base, A.sign(claims('https://one.example', 'x')))).toBe(503)
    expect((await fetch(`${base}/v2/health/live`)).status).toBe(200)
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
    expect(await new Response(child.stderr).text()).toContain('cannot be fetched: the answer has the status 404')
  })

  test('says what is wrong with them, and ends with 2', () => {
    using place = new Workplace()
    writeFileSync(join(place.folder, 'vestal.toml'), '[[issuers]]\nname = "one"\naudiences = ["vestal"]\nkey_file = "one.json"')
    const start = (environment: Record<string, string> = {}) =>
      place.run(['start', '--port', '0'], { ...PRODUCTION, ...environment })
    const expectFault = ({ stderr, exitCode }: ReturnType<typeof start>, part: string) => {
      expect([exitCode, stderr]).toEqual([2, expect.stringContaining(part)])
    }
    expectFault(start(), 'one.json: cannot be read')
    for (const [content, part] of [
      ['{', 'not valid JSON'],
      [JSON.stringify({ keys: [A.privateKey.export({ format: 'jwk' })] }), 'private or shared'],
      [A.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 'private key'],
      ['{"keys": []}', 'no key'],
      ['short', 'at least 32'],
    ] as const) {
      writeFileSync(join(place.folder, 'one.json'), content)
      expectFault(start(), part)
    }
    writeFileSync(join(place.folder, 'one.json'), JSON.stringify(A.jwk))
    expectFault(start({ VESTAL_SECRET: SECRET }), 'mixed')
    expectFault(start({ VESTAL_ISSUER: 'one' }), 'two have the name "one"')
    writeFileSync(join(place.folder, 'vestal.toml'), '')
    const simple = { VESTAL_JWKS_URL: 'https://one.example/jwks', VESTAL_ISSUER: 'one', VESTAL_AUDIENCE: 'me' }
    expectFault(start({ ...simple, VESTAL_KEY: JSON.stringify(A.jwk) }), 'also has its own key')
    expectFault(start({ VESTAL_JWKS_URL: 'https://one.example/jwks' }), '--issuer')
    expectFault(start({ VESTAL_JWKS_URL: 'http://one.example/jwks' }), 'https')
  })
})

describe('vestal token', () => {
  const token = (args: readonly string[] = [], environment: Record<string, string> = {}) => {
    using place = new Workplace()
    return place.run(['token', '--subject', 'me', ...args], { VESTAL_SECRET: SECRET, ...environment })
  }

  test('writes the type of an access token, or the one that is accepted', () => {
    const typeOf = (environment: Record<string, string>) => decodeJwt(token([], environment).stdout.trim()).header.typ
    expect(typeOf({})).toBe('at+jwt')
    expect(typeOf({ VESTAL_TOKEN_TYPE: 'JWT' })).toBe('JWT')
    expect(typeOf({ VESTAL_INTEROP: 'flama' })).toBe('JWT')
  })

  test('writes what RFC 9068 asks of an access token, and another’s library accepts it', async () => {
    const required = ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti']
    const rules = { typ: 'at+jwt', requiredClaims: required }
    const issuer = { VESTAL_ISSUER: 'https://here.example' }
    const plain = token([], issuer).stdout.trim()
    const key = new TextEncoder().encode(SECRET)
    const { payload } = await jwtVerify(plain, key, { ...rules, issuer: 'https://here.example', audience: 'vestal' })
    expect(payload).toMatchObject({ sub: 'me', client_id: 'vestal', aud: 'vestal' })
    const named = token([], { ...issuer, VESTAL_AUDIENCE: 'models' }).stdout.trim()
    expect((await jwtVerify(named, key, { ...rules, audience: 'models' })).payload.client_id).toBe('vestal')
    expect(decodeJwt(token([], { VESTAL_INTEROP: 'flama' }).stdout.trim()).payload.aud).toBeUndefined()
    expect(verifyJwt(plain, SECRET).payload.sub).toBe('me')
    expect(() => verifyJwt(plain, SECRET, { audiences: ['another'] })).toThrow(
      new VestalError('AUDIENCE_REFUSED', { reason: 'the token is for a different audience' }),
    )
  })

  test('makes none where all tokens are other issuers’', () => {
    using place = new Workplace()
    writeFileSync(
      join(place.folder, 'vestal.toml'),
      '[[issuers]]\nname = "one"\naudiences = ["a"]\njwks_url = "http://127.0.0.1:1/"',
    )
    expect(place.run(['token', '--subject', 'me'])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('no key here to sign'),
    })
  })

  test('makes none that lives longer than the server accepts', () => {
    expect(token(['--ttl', '61'], { VESTAL_TOKEN_SECONDS_MAX: '60' })).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('from 1 to 60'),
    })
    expect(token(['--ttl', '60'], { VESTAL_TOKEN_SECONDS_MAX: '60' }).exitCode).toBe(0)
  })
})

test('the rules of the settings hold for the tokens of one’s own', async () => {
  using place = new Workplace()
  const environment = {
    ...PRODUCTION,
    VESTAL_SECRET: SECRET,
    VESTAL_TOKEN_TYPE: 'at+jwt',
    VESTAL_REQUIRED_CLAIM: 'sub,client_id',
  }
  const { base, child } = await place.start(['--token-seconds-max', '60'], environment)
  const { signJwt } = await import('../../src/index.ts')
  const send = (claims: object, type = 'at+jwt', lifetimeSeconds = 60) =>
    ask(base, signJwt({ sub: 'me', client_id: 'x', data: { permissions: ['*'] }, ...claims }, SECRET, { type, lifetimeSeconds }))
  expect(await send({})).toBe(200)
  expect([await send({}, 'JWT'), await send({ client_id: undefined }), await send({}, 'at+jwt', 61)]).toEqual([401, 401, 401])
  child.kill('SIGTERM')
  await child.exited
})
