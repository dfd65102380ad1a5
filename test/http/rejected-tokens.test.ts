import { afterAll, describe, expect, test } from 'bun:test'
import type { AppOptions } from '../../src/index.ts'
import { answerOf, DOORS } from '../support/doors.ts'
import { noteSecret } from '../support/secrets.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { makeToken, nowSeconds, SECRET } from '../support/tokens.ts'

const THEIR_SECRET = noteSecret('what another issuer signs with, of some sixty bytes or more....')
const THERE = 'https://there.example'
const engine = await bundledEngine()
afterAll(() => engine.stop())

const DESCRIBED = (description: string) => `Bearer realm="vestal", error="invalid_token", error_description="${description}"`
const PLAIN = 'Bearer realm="vestal", error="invalid_token"'

for (const open of DOORS) {
  const authentication: AppOptions['authentication'] = {
    secret: SECRET,
    issuers: [
      'https://here.example',
      { name: THERE, keys: THEIR_SECRET, audiences: ['vestal'], requiredValues: { use: 'access' } },
    ],
    lifetimeSecondsMax: 3600,
    isRevoked: ({ payload }) => payload.jti === 'revoked',
  }
  const door = open(createServer(engine, { authentication }))
  afterAll(door.close)

  const ask = async (token: string, path = '/private/info/') => {
    const response = await door.fetch(path, { headers: { authorization: `Bearer ${token}` } })
    return { challenge: response.headers.get('www-authenticate'), ...(await answerOf(response)) }
  }
  const ours = (claims: object, secret = SECRET) => {
    const iat = nowSeconds() - 10
    return makeToken({ secret, payload: { iss: 'https://here.example', iat, exp: iat + 600, jti: '1', ...claims } })
  }
  const theirs = (claims: object, secret = THEIR_SECRET) => ours({ iss: THERE, aud: 'vestal', use: 'access', ...claims }, secret)

  describe(`a rejected token, ${door.name}`, () => {
    const cases: readonly (readonly [what: string, claims: object, make: typeof ours, description: string])[] = [
      ['of another issuer that expired', { iat: 1, exp: 2 }, theirs, 'The access token expired'],
      ['of another issuer for another audience', { aud: 'other' }, theirs, 'The access token is for a different audience'],
      [
        'of another issuer for another use',
        { use: 'id' },
        theirs,
        'The access token has a claim that this server does not accept',
      ],
      [
        'of our own key with another name',
        { iss: 'https://x.example' },
        ours,
        'The access token is from an issuer that this server does not accept',
      ],
      ['that lives too long', { exp: nowSeconds() + 7200 }, ours, 'The access token lives longer than this server accepts'],
      ['that is revoked', { jti: 'revoked' }, ours, 'The access token was revoked'],
    ]
    for (const [what, claims, make, description] of cases) {
      test(`${what} learns why where its signature is right, and nothing where it is not`, async () => {
        const told = await ask(make(claims))
        const detail = description.endsWith('expired') ? `${description} at 1970-01-01T00:00:02Z` : description
        expect([told.status, told.challenge, told.body]).toEqual([
          401,
          DESCRIBED(description),
          { status_code: 401, detail, error: null },
        ])
        expect((await ask(make(claims), '/v2/models/iris')).body).toEqual({ error: detail })
        for (const forged of [
          make(claims, 'another secret that is long enough to be one'),
          make(claims).replace(/.{4}$/, 'AAAA'),
        ]) {
          const { status, challenge, body } = await ask(forged)
          expect([status, challenge, body]).toEqual([401, PLAIN, { status_code: 401, detail: 'Unauthorized', error: null }])
          expect((await ask(forged, '/v2/models/iris')).body).toEqual({ error: 'Unauthorized' })
        }
      })
    }

    test('of an issuer that no one knows learns nothing, anyone who signed it', async () => {
      for (const secret of [SECRET, THEIR_SECRET]) {
        const { challenge } = await ask(theirs({ iss: 'https://elsewhere.example', iat: 1, exp: 2 }, secret))
        expect(challenge).toBe(secret === SECRET ? DESCRIBED('The access token expired') : PLAIN)
      }
      // Signed by one issuer in the name of another.
      expect((await ask(ours({ iat: 1, exp: 2 }, THEIR_SECRET))).challenge).toBe(PLAIN)
      expect((await ask(theirs({ iat: 1, exp: 2 }, SECRET))).challenge).toBe(PLAIN)
    })

    test('has nothing of itself in the answer', async () => {
      const evil = 'x", error="none\r\nset-cookie: a=b'
      for (const claims of [{ aud: evil }, { jti: evil }, { exp: evil }, { iss: evil }, { nbf: nowSeconds() + 99, aud: evil }]) {
        const { challenge, body } = await ask(ours(claims))
        expect(challenge).toMatch(/^Bearer realm="vestal", error="invalid_token"(?:, error_description="[A-Za-z ;]+")?$/)
        expect(JSON.stringify(body)).not.toContain('set-cookie')
      }
    })
  })
}
