import { afterAll, describe, expect, test } from 'bun:test'
import { createEngine, verifyJwt } from '../../src/index.ts'
import { answerOf, DOORS, failure } from '../support/doors.ts'
import { createServer } from '../support/server.ts'
import { bearer, SECRET } from '../support/tokens.ts'

const engine = await createEngine({ warn: () => undefined })
afterAll(() => engine.stop())
const ID = '497f6eca-6276-4993-bfeb-53cbbbba6f08'

for (const open of DOORS) {
  const door = open(createServer(engine, { title: 'Flowers', description: 'Names them' }))
  afterAll(door.close)
  const get = (path: string, init?: RequestInit) => answerOf(door.fetch(path, init))
  const signIn = (body: unknown) =>
    get('/auth/', {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    })

  describe(`the article's flow, ${door.name}`, () => {
    test('public information is for everybody', async () => {
      expect(await get('/public/info/')).toEqual({
        status: 200,
        body: { title: 'Flowers', description: 'Names them', public: true },
      })
    })

    test('private information asks for a token', async () => {
      expect(await get('/private/info/')).toEqual(failure(401, 'Unauthorized'))
    })

    test('a sign-in gives a token that opens private information', async () => {
      const response = await door.fetch('/auth/', { method: 'POST', body: JSON.stringify({ id: ID, password: 'string' }) })
      expect(response.headers.get('cache-control')).toBe('no-store')
      const { id, token } = (await response.json()) as { id: string; token: string }
      expect(id).toBe(ID)
      const { payload } = verifyJwt(token, SECRET)
      expect(payload).toEqual({
        sub: ID,
        data: { permissions: ['my-permission-name'] },
        iat: expect.any(Number),
        exp: expect.any(Number),
        jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
      } as never)
      expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(300)
      const body = { title: 'Flowers', description: 'Names them', public: false }
      expect(await get('/private/info/', { headers: { authorization: `Bearer ${token}` } })).toEqual({ status: 200, body })
      expect(await get('/private/info/', { headers: { cookie: `access_token=${token}` } })).toEqual({ status: 200, body })
    })

    test('a valid token without the permission is rejected', async () => {
      expect(await get('/private/info/', { headers: bearer('another') })).toEqual(failure(403, 'Insufficient permissions'))
    })
  })

  describe(`a sign-in with a body that is wrong, ${door.name}`, () => {
    const cases: readonly (readonly [body: unknown, detail: unknown])[] = [
      [{}, { id: 'is missing; it must be a UUID' }],
      [{ id: 'x' }, { id: 'must be a UUID' }],
      [{ id: 1 }, { id: 'must be a UUID' }],
      [{ id: null }, { id: 'must be a UUID' }],
      [{ id: ID, password: 1 }, { password: 'must be a string of at most 1024 characters' }],
      [{ id: ID, password: 'x'.repeat(1025) }, { password: 'must be a string of at most 1024 characters' }],
      [{ id: ID, admin: true }, { admin: 'is not a field of this body' }],
      [
        { id: 'x', password: [], admin: 1 },
        { id: 'must be a UUID', password: expect.any(String), admin: expect.any(String) },
      ],
      ['[]', { body: expect.any(String) }],
      ['null', { body: expect.any(String) }],
      ['"x"', { body: expect.any(String) }],
      ['{', 'The body is not valid JSON'],
      ['', 'The body is empty; it must be JSON'],
      [`{"id":"${ID}","id":1}`, 'The body is not accepted: a member is there twice'],
    ]
    for (const [body, detail] of cases) {
      test(`says what is wrong: ${(typeof body === 'string' ? body : JSON.stringify(body)).slice(0, 70)}`, async () => {
        expect(await signIn(body)).toEqual(failure(400, detail))
      })
    }

    test('is rejected unread where it is large', async () => {
      expect((await signIn({ id: ID, password: 'x'.repeat(5000) })).status).toBe(413)
    })
  })

  describe(`what does not exist, ${door.name}`, () => {
    test('is a 404 in three keys, and in one under /v2', async () => {
      expect(await get('/nowhere/')).toEqual(failure(404, 'Not Found'))
      expect(await get('/v2/nowhere')).toEqual({ status: 404, body: { error: 'Not Found' } })
      expect(await get('/v22')).toEqual(failure(404, 'Not Found'))
      // What is at `/` is a page of its own.
      expect((await get('/')).status).toBe(200)
    })

    test('as a method is a 405 with Allow', async () => {
      const cases: readonly (readonly [method: string, path: string, allow: string])[] = [
        ['DELETE', '/private/info/', 'GET, HEAD'],
        ['GET', '/auth/', 'POST'],
        ['GET', '/models/iris/predict/', 'POST'],
        ['PUT', '/models/iris', 'GET, HEAD, POST'],
        ['PATCH', '/v2/models/iris/versions/1/infer', 'POST'],
        ['OPTIONS', '/v2', 'GET, HEAD'],
      ]
      for (const [method, path, allow] of cases) {
        const response = await door.fetch(path, { method })
        expect([response.status, response.headers.get('allow')]).toEqual([405, allow])
        const isOpenInference = path.startsWith('/v2')
        const detail = 'Method Not Allowed'
        expect(await response.json()).toEqual(isOpenInference ? { error: detail } : { status_code: 405, detail, error: null })
      }
    })
  })

  describe(`a bug of ours, ${door.name}`, () => {
    const heard: unknown[] = []
    const broken = {
      ...engine,
      models: () => {
        throw new Error('a secret of the inside')
      },
    }
    const other = open(createServer(broken, { report: (error) => heard.push(error) }))
    afterAll(other.close)

    test('is a 500 that says nothing, and is reported in full', async () => {
      const response = await other.fetch('/models/', { headers: bearer() })
      expect(await answerOf(response)).toEqual(failure(500, 'Internal Server Error'))
      expect(heard).toEqual([new Error('a secret of the inside')])
    })
  })
}

test('the demonstration sign-in is not there unless it is asked for', async () => {
  const app = createServer(engine, { signIn: undefined as never })
  const request = new Request('http://localhost/auth/', { method: 'POST', body: JSON.stringify({ id: ID }) })
  expect(await answerOf(app.handle(request))).toEqual(failure(404, 'Not Found'))
})

test('the demonstration sign-in is not reached under another name of this machine', async () => {
  const app = createServer(engine)
  for (const host of ['evil.example', '127.0.0.1.evil.example', '10.0.0.1', 'localhost.evil.example']) {
    const request = new Request(`http://${host}/auth/`, { method: 'POST', body: JSON.stringify({ id: ID }) })
    expect(await answerOf(app.handle(request))).toEqual(failure(404, 'Not Found'))
  }
})
