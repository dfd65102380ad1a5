import { afterAll, describe, expect, test } from 'bun:test'
import { Elysia } from 'elysia'
import { authentication } from '../../src/index.ts'
import { DOORS } from '../support/doors.ts'
import { hasShared, readShared } from '../support/shared.ts'

interface Case {
  readonly id: string
  readonly key: 'K32' | 'K16'
  readonly path: string
  readonly where: 'header' | 'cookie' | 'refresh' | 'raw' | 'none'
  readonly token: string | null
  readonly raw_header: string | null
  readonly cookie: string | null
  readonly recommended: number
}

const SECRETS = { K32: '0123456789abcdef0123456789abcdef', K16: new Uint8Array(16) }

/** The application that the vectors were made with, built with the library. */
function createFlamaApp(secret: string | Uint8Array) {
  const refresh = new Elysia()
    .use(authentication({ secret, interop: 'flama', cookieKey: 'refresh_token', types: ['rt+jwt'] }))
    .get('/rtok/', ({ token }) => token.payload, { permissions: [] })
  return new Elysia({ handler: { standardHostname: false }, serve: { reusePort: false } })
    .use(refresh)
    .use(authentication({ secret, interop: 'flama' }))
    .get('/auth/', () => 'auth', { permissions: ['p1'] })
    .get('/auth2/', () => 'auth2', { permissions: ['p1', 'p2'] })
    .get('/tok/', ({ token }) => token.payload, { permissions: [] })
}

function headersOf({ where, token, raw_header, cookie }: Case): Record<string, string> {
  return {
    ...(where === 'header' && { authorization: `Bearer ${token}` }),
    ...(raw_header !== null && { authorization: raw_header }),
    ...(where === 'cookie' && { cookie: `access_token=${cookie ?? token}` }),
    ...(where === 'refresh' && { cookie: `refresh_token=${token}` }),
    ...(where === 'raw' && cookie !== null && { cookie: `access_token=${cookie}` }),
  }
}

const FILE = 'vectors/flama-auth.json'

describe.if(hasShared(FILE))('tokens and requests as Flama makes them', () => {
  const { cases } = hasShared(FILE) ? (readShared(FILE) as { cases: readonly Case[] }) : { cases: [] }
  for (const open of DOORS) {
    const doors = { K32: open(createFlamaApp(SECRETS.K32)), K16: open(createFlamaApp(SECRETS.K16)) }
    afterAll(async () => {
      await doors.K32.close()
      await doors.K16.close()
    })
    for (const vector of cases) {
      test(`${vector.id} is answered with ${vector.recommended}, ${doors.K32.name}`, async () => {
        const response = await doors[vector.key].fetch(vector.path, { headers: headersOf(vector) })
        expect(response.status).toBe(vector.recommended)
      })
    }
  }
})

describe("the specification's own examples", () => {
  const app = createFlamaApp(SECRETS.K16)
  const get = (token: string, from = app) =>
    from.handle(new Request('http://localhost/tok/', { headers: { authorization: `Bearer ${token}` } }))
  const examples: readonly (readonly [token: string, payload: unknown])[] = [
    [
      'eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCJ9.eyJkYXRhIjogeyJmb28iOiAiYmFyIn0sICJpYXQiOiAwfQ==.J3zdedMZSFNOimstjJat0V28rM_b1UU62XCp9dg_5kg=',
      { data: { foo: 'bar' }, iat: 0 },
    ],
    [
      'eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCJ9.eyJkYXRhIjogeyJwZXJtaXNzaW9ucyI6IFsiZmxhbWEudGVzdC5hdXRoIl19LCAiaWF0IjogMTY5ODQxMjkzMX0=.NLhM8r2g1I_oHG0zAAsRqDAuwPVvzI95Lnz2K7uupmo=',
      { data: { permissions: ['flama.test.auth'] }, iat: 1698412931 },
    ],
    [
      'eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCJ9.eyJkYXRhIjogeyJyb2xlcyI6IHsiZm9vIjogWyJmbGFtYS50ZXN0LmF1dGgiXX19LCAiaWF0IjogMTY5ODQxMjI5OH0=.WK2PwipkiLATHsKwIsiljS_31h0-T6U0hZzoI62Skiw=',
      { data: { roles: { foo: ['flama.test.auth'] } }, iat: 1698412298 },
    ],
  ]

  for (const [token, payload] of examples) {
    test(`is accepted with interop flama: ${JSON.stringify(payload)}`, async () => {
      const response = await get(token)
      expect([response.status, await response.json()]).toEqual([200, payload])
    })

    test(`is rejected without it: ${JSON.stringify(payload)}`, async () => {
      const strict = new Elysia()
        .use(authentication({ secret: SECRETS.K32 }))
        .get('/tok/', ({ token: { payload: claims } }) => claims, { permissions: [] })
      expect((await get(token, strict as never)).status).toBe(401)
    })
  }

  test('a short secret is rejected at the start without interop flama', () => {
    expect(() => authentication({ secret: SECRETS.K16 })).toThrow('16 bytes')
  })
})
