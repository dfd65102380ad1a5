/** One `sub` from two issuers is two callers, wherever a request comes in: in queues, streams and sockets, and in the limits of a role. */
import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answerOf } from '../support/doors.ts'
import { openLive } from '../support/live-socket.ts'
import { startMarked } from '../support/marked-engine.ts'
import { HANG } from '../support/marks.ts'
import { noteSecret } from '../support/secrets.ts'
import { createServer } from '../support/server.ts'
import { identityModel } from '../support/tiny-models.ts'
import { makeToken, nowSeconds, SECRET } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-issuers-'))
await Bun.write(join(folder, 'same/1/model.onnx'), identityModel('FP32', ['n', 1]))
afterAll(() => rmSync(folder, { recursive: true }))

const THERE = 'https://there.example'
const MAPPED = 'https://mapped.example'
const THEIR_SECRET = noteSecret('what another issuer signs with, of some sixty bytes or more....')
const MAPPED_SECRET = noteSecret('what a third issuer signs with, also of some sixty bytes.......')
const claimsOf = (sub: string, roles: object) => ({
  sub,
  aud: 'vestal',
  exp: nowSeconds() + 600,
  data: { permissions: ['*'], roles },
})
const ours = (sub: string, roles = {}) => makeToken({ payload: claimsOf(sub, roles) })
const theirs = (sub: string, roles = {}) => makeToken({ secret: THEIR_SECRET, payload: { iss: THERE, ...claimsOf(sub, roles) } })
const mapped = (sub: string, groups: readonly string[], roles = {}) =>
  makeToken({ secret: MAPPED_SECRET, payload: { iss: MAPPED, groups, ...claimsOf(sub, roles) } })
const authorized = (token: string) => ({ authorization: `Bearer ${token}` })

const authentication = {
  secret: SECRET,
  audiences: ['vestal'],
  issuers: [
    { name: THERE, keys: THEIR_SECRET, audiences: ['vestal'] },
    {
      name: MAPPED,
      keys: MAPPED_SECRET,
      audiences: ['vestal'],
      permissionClaims: ['groups'],
      grants: { readers: ['model:*:read'], partners: ['model:*:read', 'gold', 'silver'] },
      mayGrant: ['model:*:read', 'gold'],
    },
  ],
}

async function setUp(options: { readonly limits?: object; readonly operations?: object } = {}) {
  const marked = await startMarked({ modelsDirectory: folder, ...options.limits })
  const app = createServer(marked.engine, { authentication, operations: options.operations ?? {} })
  app.listen({ port: 0, hostname: '127.0.0.1' })
  const base = `http://127.0.0.1:${app.server?.port}`
  return {
    ...marked,
    base,
    post: (path: string, token: string, body: string) =>
      answerOf(fetch(`${base}${path}`, { method: 'POST', headers: authorized(token), body })),
    live: (token: string) => openLive(`${base.replace('http', 'ws')}/models/same/live/`, { headers: authorized(token) }),
    async [Symbol.asyncDispose]() {
      marked.open()
      await app.stop(true)
      await marked.engine.stop()
    },
  }
}

const HELD = `{"input":[[${HANG}]]}`
const ROW = '{"input":[[1]]}'

/** Ways for a request to come in: each gives the status and what was answered, of one that is rejected too. */
type Place = Awaited<ReturnType<typeof setUp>>
const WAYS: Readonly<Record<string, (place: Place, token: string) => Promise<unknown>>> = {
  rows: (place, token) => place.post('/models/same/predict/', token, ROW),
  tensors: (place, token) =>
    place.post('/v2/models/same/infer', token, '{"inputs":[{"name":"x","datatype":"FP32","shape":[1,1],"data":[1]}]}'),
}

describe('one sub of two issuers', () => {
  for (const [name, ask] of Object.entries(WAYS)) {
    test(`has two shares of the queue, in ${name}`, async () => {
      await using place = await setUp({ limits: { subjectRequestsMax: 1 } })
      const held = place.post('/models/same/predict/', ours('ada'), HELD)
      await until(() => place.engine.statistics('same')[0]?.running === 1)
      expect(await ask(place, ours('ada'))).toMatchObject({ status: 429 })
      const other = ask(place, theirs('ada'))
      await until(() => place.engine.statistics('same')[0]?.waiting === 1)
      expect(await ask(place, theirs('ada'))).toMatchObject({ status: 429 })
      place.open()
      expect([await held, await other]).toMatchObject([{ status: 200 }, { status: 200 }])
    })
  }

  test('has two shares of the queue, in streams and sockets', async () => {
    await using place = await setUp({ limits: { subjectRequestsMax: 1 } })
    const held = place.post('/models/same/predict/', ours('ada'), HELD)
    await until(() => place.engine.statistics('same')[0]?.running === 1)
    // A stream and a socket wait where the caller has its share already; the other issuer's are in the queue at once.
    const [socket, stream] = [await place.live(theirs('ada')), place.post('/models/same/stream/', theirs('bob'), '[1]\n')]
    const answer = socket.ask(ROW)
    await until(() => place.engine.statistics('same')[0]?.waiting === 2)
    const [own, waiting] = [await place.live(ours('ada')), place.post('/models/same/stream/', ours('ada'), '[2]\n')]
    const late = own.ask(ROW)
    expect(place.engine.statistics('same')[0]?.waiting).toBe(2)
    place.open()
    expect(JSON.parse(String(await answer))).toEqual({ output: [[1]] })
    expect(JSON.parse(String(await late))).toEqual({ output: [[1]] })
    expect([await held, await stream, await waiting]).toMatchObject([
      { status: 200 },
      { status: 200, body: { row: 0, output: [1] } },
      { status: 200, body: { row: 0, output: [2] } },
    ])
    for (const { socket: each } of [socket, own]) each.close()
  })
})

describe('limits by role', () => {
  const operations = {
    rateLimits: [
      { role: 'default', requestsPerMinute: 1 },
      { role: 'gold', requestsPerMinute: 3 },
      { role: 'silver', requestsPerMinute: 2 },
    ],
    front: { now: () => 1000 },
  }
  const allowed = async ({ base }: Place, token: string) => {
    for (let count = 0; ; count += 1)
      if ((await fetch(`${base}/models/same/`, { headers: authorized(token) })).status !== 200) return count
  }

  test('count each issuer’s subject for itself, by the roles that its tokens hold', async () => {
    await using place = await setUp({ operations })
    expect([await allowed(place, ours('ada')), await allowed(place, theirs('ada'))]).toEqual([1, 1])
    expect(await allowed(place, ours('bob', { gold: [] }))).toBe(3)
    expect(await allowed(place, theirs('bob', { gold: ['a:b'] }))).toBe(3)
  })

  test('take no role from a token whose issuer has a mapping but those that the mapping grants', async () => {
    await using place = await setUp({ operations })
    expect(await allowed(place, mapped('ada', ['readers'], { gold: ['*'] }))).toBe(1)
    expect(await allowed(place, mapped('bob', ['readers', 'gold'], {}))).toBe(1)
    expect(await allowed(place, mapped('eve', ['partners'], {}))).toBe(3)
  })
})
