import { afterAll, describe, expect, test } from 'bun:test'
import { authentication } from '../../src/index.ts'
import { answerOf, DOORS, failure } from '../support/doors.ts'
import { ownApp } from '../support/own-app.ts'
import { sendRaw } from '../support/raw-socket.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { bearer, makeToken, nowSeconds, SECRET, tokenWith } from '../support/tokens.ts'

const MALFORMED = failure(400, 'The Authorization header must be one scheme, a space and one token')
const UNAUTHORIZED = failure(401, 'Unauthorized')
const engine = await bundledEngine()
afterAll(() => engine.stop())

for (const open of DOORS) {
  const own = open(ownApp(authentication({ secret: SECRET }), ['p1']))
  const server = open(createServer(engine))
  afterAll(async () => {
    await own.close()
    await server.close()
  })
  const token = () => tokenWith(['p1'])
  const ask = (headers: Record<string, string>, path = '/p1', init: RequestInit = {}) =>
    answerOf(own.fetch(path, { ...init, headers }))
  const IN = { status: 200, body: 'in' }

  describe(`the ways to send a token, ${own.name}`, () => {
    test('X1: a scheme of any case is the scheme', async () => {
      for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR'])
        expect(await ask({ authorization: `${scheme} ${token()}` })).toEqual(IN)
    })

    test('X2: spaces may stand before the token, and nothing else may stand anywhere', async () => {
      expect(await ask({ authorization: `Bearer  ${token()}` })).toEqual(IN)
      const wrong = [
        'Bearer',
        'Bearer ',
        'Bearer   ',
        `Bearer\t${token()}`,
        `Bearer ${token()} x`,
        `Bearer ${token()},`,
        `Bearer "${token()}"`,
        `Bearer${token()}`,
        `Bearer:${token()}`,
        `Bearer=${token()}`,
        `Bearer token=${token()} x`,
        token(),
        `BearerX ${token()}`,
        `x Bearer ${token()}`,
      ]
      for (const authorization of wrong) expect(await ask({ authorization })).toEqual(MALFORMED)
    })

    test('X4: another scheme is a broken header, beside a token or alone', async () => {
      for (const authorization of [
        `Basic ${btoa('a:b')}`,
        `Basic ${btoa('a:b')}, Bearer ${token()}`,
        `Bearer ${token()}, Basic ${btoa('a:b')}`,
        `Token ${token()}`,
        `DPoP ${token()}`,
      ])
        expect(await ask({ authorization })).toEqual(MALFORMED)
    })

    test('X5: the header goes before the cookie, and neither stands in for the other where it is wrong', async () => {
      const [good, bad] = [token(), makeToken({ secret: 'another secret that is long enough to be one' })]
      expect(await ask({ authorization: `Bearer ${good}`, cookie: `access_token=${bad}` })).toEqual(IN)
      expect(await ask({ authorization: `Bearer ${bad}`, cookie: `access_token=${good}` })).toEqual(UNAUTHORIZED)
      expect(await ask({ authorization: 'Basic x', cookie: `access_token=${good}` })).toEqual(MALFORMED)
      expect(await ask({ cookie: `access_token=${bad}` })).toEqual(UNAUTHORIZED)
    })

    test('X6: a token in the address or in a body is no one’s', async () => {
      for (const name of ['access_token', 'token', 'jwt', 'Authorization', 'bearer']) {
        expect(await ask({}, `/p1?${name}=${token()}`)).toEqual(UNAUTHORIZED)
      }
      const form = {
        method: 'POST',
        body: `access_token=${tokenWith(['model:iris:predict'])}`,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      }
      expect((await server.fetch('/models/iris/predict/', form)).status).toBe(401)
    })

    test('X7: two cookies of one name must be one token, and a cookie is a text and no JSON', async () => {
      const [one, two] = [tokenWith(['p1']), tokenWith(['p1', 'p2'])]
      expect(await ask({ cookie: `access_token=${one}; access_token=${one}` })).toEqual(IN)
      expect((await ask({ cookie: `access_token=${one}; access_token=${two}` })).status).toBe(400)
      expect((await ask({ cookie: `access_token=; access_token=${two}` })).status).toBe(400)
      for (const value of [
        `"${one}"`,
        JSON.stringify({ token: one }),
        JSON.stringify([one]),
        `${one} x`,
        `Bearer ${one}`,
        '%00',
        'null',
        'undefined',
      ])
        expect(await ask({ cookie: `access_token=${value}` })).toEqual(UNAUTHORIZED)
      for (const name of ['ACCESS_TOKEN', 'Access_Token', 'access_token ', 'xaccess_token', '__Host-access_token'])
        expect((await ask({ cookie: `${name}=${one}` })).status).toBe(name === 'access_token ' ? 200 : 401)
    })

    test('X8: a token that is too long is rejected unread', async () => {
      const long = tokenWith(['p1'], { pad: 'x'.repeat(7000) })
      expect(await ask({ authorization: `Bearer ${long}` })).toEqual(UNAUTHORIZED)
      expect(await ask({ authorization: `Bearer ${'a'.repeat(12_000)}` })).toEqual(UNAUTHORIZED)
      expect(await ask({ authorization: `Bearer ${'.'.repeat(12_000)}` })).toEqual(UNAUTHORIZED)
    })

    test('X9: HEAD is asked for a token like GET, and OPTIONS reveals nothing', async () => {
      expect((await own.fetch('/p1', { method: 'HEAD' })).status).toBe(401)
      expect((await own.fetch('/p1', { method: 'HEAD', headers: bearer('p1') })).status).toBe(200)
      for (const path of ['/private/info/', '/models/iris/predict/', '/models/no-such-model/predict/', '/v2/models/iris/infer']) {
        const preflight = {
          method: 'OPTIONS',
          headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
        }
        const response = await server.fetch(path, preflight)
        expect([path, response.headers.get('access-control-allow-origin'), response.status < 500]).toEqual([path, null, true])
        expect(await response.text()).not.toContain('iris')
      }
    })

    test('X10: no spelling of a path goes around its permissions', async () => {
      const paths = [
        '//private/info/',
        '/private//info/',
        '/./private/info/',
        '/x/../private/info/',
        '/%70rivate/info/',
        '/private%2finfo/',
        '/PRIVATE/INFO/',
        '/private/info',
        '/private/info/;a',
        '/private/info/%2e',
        '/private/info/.',
        '/private/info/?',
        '/private/info%00/',
        '/models/%69ris/',
        '/models/iris%2f',
        '/models/./iris/',
        '/models/iris/%2e%2e/digits/',
        '/v2/models/%69ris',
        '/v2//models/iris',
        '/models/IRIS/',
        '/models/iris%20/',
      ]
      for (const path of paths) {
        const { status } = await answerOf(server.fetch(path))
        expect([path, status === 401 || status === 404]).toEqual([path, true])
        const others = await answerOf(server.fetch(path, { headers: bearer('other') }))
        expect([path, others.status === 403 || others.status === 404]).toEqual([path, true])
      }
      // An encoded name is the model's name: what is asked for is the permission of the model that answers.
      expect((await server.fetch('/models/%69ris/', { headers: bearer('model:iris:read') })).status).toBe(200)
      expect((await server.fetch('/models/%69ris/', { headers: bearer('model:%69ris:read') })).status).toBe(403)
    })

    test('X11: nothing of a request is reflected where it could end a header', async () => {
      for (const name of ['%22', '%0d%0aset-cookie:a=b', '%5c', '%00', '%7f', '%c3%a9', 'a%22,%20error=%22x']) {
        const response = await server.fetch(`/models/${name}/`, { headers: bearer('other') })
        const challenge = response.headers.get('www-authenticate') ?? ''
        expect([name, response.status >= 400 && response.status < 500]).toEqual([name, true])
        expect([name, response.headers.get('set-cookie')]).toEqual([name, null])
        expect([
          name,
          /^(?:|Bearer realm="[^"\\]*", error="insufficient_scope"(?:, scope="[\x21\x23-\x5b\x5d-\x7e ]*")?)$/.test(challenge),
        ]).toEqual([name, true])
      }
      const sent = await own.fetch('/p1', { headers: { authorization: 'Bearer x"y\\z' } })
      expect(sent.headers.get('www-authenticate')).toBe('Bearer realm="vestal", error="invalid_request"')
    })

    test('X13: an answer that carries a token, or rejects one, is kept by no one', async () => {
      const body = JSON.stringify({ id: '497f6eca-6276-4993-bfeb-53cbbbba6f08' })
      const signedIn = await server.fetch('/auth/', { method: 'POST', body })
      expect([signedIn.status, signedIn.headers.get('cache-control')]).toEqual([200, 'no-store'])
      for (const headers of [{}, bearer('other'), { authorization: 'x' }] as Record<string, string>[])
        expect((await own.fetch('/p1', { headers })).headers.get('cache-control')).toBe('no-store')
    })
  })

  describe(`what a token says, ${own.name}`, () => {
    const claims = (more: object) => makeToken({ payload: { sub: 'me', exp: nowSeconds() + 60, ...more } })
    const askWith = (text: string) => ask({ authorization: `Bearer ${text}` })

    test('E7: spaces inside the JSON of a header are JSON', async () => {
      const header = '{ "alg" :\n"HS256" ,\r\n\t"typ":"JWT" }'
      expect(await askWith(makeToken({ header, payload: { exp: nowSeconds() + 60, data: { permissions: ['p1'] } } }))).toEqual(IN)
    })

    test('C2: a fraction of a second is a time', async () => {
      expect(await askWith(claims({ exp: nowSeconds() + 60.5, data: { permissions: ['p1'] } }))).toEqual(IN)
    })

    test('C12: names of JavaScript’s own members grant nothing and change nothing', async () => {
      for (const name of ['constructor', 'prototype', 'toString', 'valueOf', 'hasOwnProperty', 'toJSON', 'then']) {
        const data = { [name]: { permissions: ['p1'] } }
        expect(await askWith(claims({ [name]: { permissions: ['p1'] }, data }))).toEqual(failure(403, 'Insufficient permissions'))
        expect(await askWith(claims({ [name]: null, data: { ...data, permissions: ['p1'] } }))).toEqual(IN)
      }
      expect(Object.keys(Object.prototype)).toEqual([])
      expect(({} as { admin?: boolean }).admin).toBeUndefined()
    })

    test('C15: permissions of another shape, or that only look alike, grant nothing', async () => {
      const shapes: readonly unknown[] = [
        null,
        'p1',
        7,
        true,
        { p1: true },
        [['p1']],
        [{ p1: 1 }],
        ['p1 '],
        [' p1'],
        ['P1'],
        ['p1\u0000'],
        ['p1\u200b'],
        ['р1'],
        ['p１'],
        ['p1:'],
        [':p1'],
        ['p1,p2'],
        ['p*'],
        ['?1'],
        [7],
        [null],
      ]
      for (const permissions of shapes) {
        expect((await askWith(claims({ data: { permissions } }))).status).toBe(403)
        expect((await askWith(claims({ data: { roles: { r: permissions } } }))).status).toBe(403)
        expect(
          (await askWith(claims({ data: permissions, permissions: ['p1'], roles: { r: ['p1'] }, scope: 'p1', scp: ['p1'] })))
            .status,
        ).toBe(403)
      }
      expect((await askWith(claims({ data: { permissions: [null, 'p1', 7] } }))).status).toBe(200)
    })
  })

  if (own.name === 'over a socket')
    describe('bytes on a socket', () => {
      const port = Number(new URL(own.base).port)
      const raw = (...lines: readonly (string | Uint8Array)[]) =>
        sendRaw(port, {
          pieces: [
            Buffer.concat(
              ['GET /p1 HTTP/1.1', 'Host: localhost', ...lines, '', '']
                .flatMap((line) => [Buffer.from(line), Buffer.from('\r\n')])
                .slice(0, -1),
            ),
          ],
        })

      test('X3: two Authorization headers are rejected, the same or not', async () => {
        const line = `Authorization: Bearer ${token()}`
        expect(await raw(line)).toBe(200)
        expect(await raw(line, line)).toBe(400)
        expect(await raw(line, 'Authorization: Basic YTpi')).toBe(400)
        expect(await raw('authorization: x', line)).toBe(400)
        expect(await raw('Authorization:', line)).toBeOneOf([400, 401])
      })

      test('X8: more headers than Bun takes are its 431', async () => {
        expect(await raw(`Authorization: Bearer ${'a'.repeat(20_000)}`)).toBe(431)
      })

      test('E4, E6: bytes that are no token are rejected, and never a 500', async () => {
        for (const byte of [0x00, 0x01, 0x0b, 0x7f, 0x80, 0xa0, 0xff]) {
          const [before, after] = [token().slice(0, 40), token().slice(40)]
          const line = Buffer.concat([Buffer.from(`Authorization: Bearer ${before}`), Buffer.from([byte]), Buffer.from(after)])
          expect(await raw(line)).toBeOneOf([400, 401])
          const cookie = Buffer.concat([Buffer.from(`Cookie: access_token=${before}`), Buffer.from([byte]), Buffer.from(after)])
          expect(await raw(cookie)).toBeOneOf([400, 401])
        }
      })
    })
}
