import { afterAll, describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { type AnyElysia, Elysia, t } from 'elysia'
import { CompactEncrypt } from 'jose'
import { authentication } from '../../src/index.ts'
import { answerOf, DOORS, failure } from '../support/doors.ts'
import { ownApp } from '../support/own-app.ts'
import { makeToken, nowSeconds, SECRET, tokenWith } from '../support/tokens.ts'

const UNAUTHORIZED = failure(401, 'Unauthorized')
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const decryptionKey = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

function encrypt(content: string, header: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const all = { alg: 'RSA-OAEP-256', enc: 'A256GCM', cty: 'JWT', ...header }
  return new CompactEncrypt(Buffer.from(content)).setProtectedHeader(all as never).encrypt(publicKey)
}

/** An app with a route whose body and query have a schema. */
function schemaApp(plugin: unknown): AnyElysia {
  // The casts stand in for what an app that is written in one chain gets from its types.
  const app = new Elysia({ handler: { standardHostname: false }, serve: { reusePort: false } }) as unknown as Elysia
  const options = { permissions: ['p1'], body: t.Object({ a: t.Number() }), query: t.Object({ n: t.Number() }) }
  app.use(plugin as AnyElysia).post('/schema', ({ body }) => body as object, options as object)
  // Without a body the check of the query is the first to meet the token.
  const { body: _, ...queryAlone } = options
  return app.get('/query', ({ query }) => query as object, queryAlone as object)
}

for (const open of DOORS) {
  const door = open(ownApp(authentication({ secret: SECRET, decryptionKey }), ['p1', 'p2']))
  const plain = open(ownApp(authentication({ secret: SECRET }), ['p1']))
  afterAll(async () => {
    await door.close()
    await plain.close()
  })
  const ask = (token: string, at = door, path = '/p1') =>
    answerOf(at.fetch(path, { headers: { authorization: `Bearer ${token}` } }))

  describe(`an encrypted token, ${door.name}`, () => {
    test('is opened and then checked like any other, each time it comes', async () => {
      const token = await encrypt(tokenWith(['p1']))
      for (let round = 0; round < 3; round += 1) expect(await ask(token)).toEqual({ status: 200, body: 'in' })
      expect(await ask(token, door, '/p2')).toEqual(failure(403, 'Insufficient permissions'))
      expect(await ask(tokenWith(['p1']))).toEqual({ status: 200, body: 'in' })
    })

    test('is rejected where no decryption key is configured', async () => {
      expect(await ask(await encrypt(tokenWith(['p1'])), plain)).toEqual(UNAUTHORIZED)
    })

    test('is rejected where what it holds is', async () => {
      const good = { sub: 'me', exp: nowSeconds() + 60, data: { permissions: ['p1'] } }
      const inside = [
        makeToken({ payload: good, secret: 'another secret that is long enough to be one' }),
        makeToken({ payload: good, header: { alg: 'none' }, signature: '' }),
        JSON.stringify(good),
        await encrypt(tokenWith(['p1'])),
        `${tokenWith(['p1'])} `,
        '\u00ff\u00fe',
        '',
      ]
      for (const content of inside) expect(await ask(await encrypt(content))).toEqual(UNAUTHORIZED)
      const expired = makeToken({ payload: { ...good, exp: nowSeconds() - 60 } })
      expect(await ask(await encrypt(expired))).toEqual(
        failure(401, expect.stringMatching(/^The access token expired at [\d-]+T[\d:]+Z$/)),
      )
    })

    test('that does not say it holds a signed one is rejected', async () => {
      expect(await ask(await encrypt(tokenWith(['p1']), { cty: undefined }))).toEqual(UNAUTHORIZED)
    })

    test('is read before a body that a schema describes: the right status for a wrong body, and nothing of the schema without it', async () => {
      const own = open(schemaApp(authentication({ secret: SECRET, decryptionKey })))
      try {
        const send = async (token: string | undefined, path: string, body: string) => {
          const headers = { 'content-type': 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) }
          return (await own.fetch(path, { method: 'POST', headers, body })).status
        }
        const other = 'another secret that is long enough to be one'
        const forged = await encrypt(makeToken({ payload: { exp: nowSeconds() + 60 }, secret: other }))
        const cases = [
          ['/schema?n=1', '{"a":"x"}'],
          ['/schema?n=1', '{'],
          ['/schema?n=x', '{"a":1}'],
        ] as const
        for (const token of [await encrypt(tokenWith(['p1'])), tokenWith(['p1'])]) {
          expect(await send(token, '/schema?n=1', '{"a":1}')).toBe(200)
          const statuses: number[] = []
          for (const [path, body] of cases) statuses.push(await send(token, path, body))
          expect(statuses).toEqual([422, 400, 422])
        }
        const query = async (token: string, text: string) =>
          (await own.fetch(`/query?n=${text}`, { headers: { authorization: `Bearer ${token}` } })).status
        for (const token of [await encrypt(tokenWith(['p1'])), tokenWith(['p1'])])
          expect([await query(token, '1'), await query(token, 'x')]).toEqual([200, 422])
        expect(await query(forged, 'x')).toBe(401)
        for (const token of [forged, undefined]) for (const [path, body] of cases) expect(await send(token, path, body)).toBe(401)
      } finally {
        await own.close()
      }
    })

    test('is rejected in the same words whatever was wrong', async () => {
      const token = await encrypt(tokenWith(['p1']))
      const [head, key, iv, content, tag] = token.split('.')
      const zeros = Buffer.alloc(256).toString('base64url')
      for (const text of [
        `${head}.${zeros}.${iv}.${content}.${tag}`,
        `${head}.${key}.${iv}.${content}.AAAAAAAAAAAAAAAAAAAAAA`,
        `${head}.${key}.${iv}.AAAA.${tag}`,
        `${head}.${key}..${content}.${tag}`,
        `${head}..${iv}.${content}.${tag}`,
        'a.b.c.d.e',
      ]) {
        expect(await ask(text)).toEqual(UNAUTHORIZED)
      }
    })
  })
}
