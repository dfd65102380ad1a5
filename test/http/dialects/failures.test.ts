import { afterAll, describe, expect, test } from 'bun:test'
import { Elysia } from 'elysia'
import { dialectOf } from '../../../src/http/dialects/failures.ts'
import { type Engine, type ErrorCode, serveModels, VestalError } from '../../../src/index.ts'
import { startDialectModels } from '../../support/dialect-models.ts'
import { createServer } from '../../support/server.ts'
import { bearer, SECRET } from '../../support/tokens.ts'

const { engine, stop } = await startDialectModels()
afterAll(stop)

const REQUESTS = {
  openai: ['/v1/embeddings', { model: 'embedding', input: 'a' }],
  tei: ['/models/embedding/embed', { inputs: 'a' }],
  cohere: ['/v2/rerank', { model: 'best', query: 'a', documents: ['b'] }],
  jina: ['/v1/rerank', { model: 'best', query: 'a', documents: ['b'] }],
  hub: ['/models/mood', { inputs: 'a' }],
  kserve: ['/v1/models/mood:predict', { instances: ['a'] }],
} as const

type Statuses = Readonly<Record<keyof typeof REQUESTS, number>>

function all(status: number, others: Partial<Statuses> = {}): Statuses {
  return { openai: status, tei: status, cohere: status, jina: status, hub: status, kserve: status, ...others }
}

/** What each dialect answers where computing fails with a code. */
const FAILURES: readonly (readonly [code: ErrorCode, statuses: Statuses, teiType: string])[] = [
  ['QUEUE_FULL', all(429, { kserve: 503 }), 'Overloaded'],
  ['MEMORY_LIMIT', all(429, { kserve: 503 }), 'Overloaded'],
  ['SUBJECT_LIMIT', all(429), 'Overloaded'],
  ['SUBJECT_MEMORY_LIMIT', all(429), 'Overloaded'],
  ['QUEUE_TIMEOUT', all(503, { tei: 429, hub: 504 }), 'Overloaded'],
  ['REQUEST_TIMEOUT', all(504), 'Backend'],
  ['INFERENCE_FAILED', all(400, { tei: 424, hub: 424 }), 'Backend'],
  ['MODEL_UNAVAILABLE', all(503, { tei: 424, hub: 424 }), 'Backend'],
  ['WORKER_LOST', all(503, { tei: 424, hub: 424 }), 'Backend'],
  ['SERVER_STOPPING', all(503, { hub: 502 }), 'Unhealthy'],
]

describe('where computing fails', () => {
  for (const [code, statuses, teiType] of FAILURES) {
    test(`with ${code}, each dialect has its own status, the text and Retry-After`, async () => {
      const failing: Engine = {
        ...engine,
        infer: () => Promise.reject(new VestalError(code, { detail: 'the reason', headers: { 'retry-after': '7' } })),
      }
      const app = createServer(failing)
      for (const [dialect, [path, body]] of Object.entries(REQUESTS)) {
        const response = await app.handle(
          new Request(`http://localhost${path}`, { method: 'POST', headers: bearer('*'), body: JSON.stringify(body) }),
        )
        const text = await response.text()
        // The cast: these are the keys of the table.
        expect([dialect, response.status]).toEqual([dialect, statuses[dialect as keyof Statuses]])
        expect([dialect, response.headers.get('retry-after'), text]).toEqual([
          dialect,
          '7',
          expect.stringContaining('the reason'),
        ])
        if (dialect === 'tei') expect(JSON.parse(text)).toEqual({ error: 'the reason', error_type: teiType })
      }
    })
  }

  test('with a bug of ours, each answers 500 in its form without a word of it', async () => {
    const app = createServer({ ...engine, infer: () => Promise.reject(new Error('secret')) }, { report: () => undefined })
    for (const [path, body] of Object.values(REQUESTS)) {
      const response = await app.handle(
        new Request(`http://localhost${path}`, { method: 'POST', headers: bearer('*'), body: JSON.stringify(body) }),
      )
      expect([path, response.status]).toEqual([path, 500])
      const text = await response.text()
      expect(text).toContain('Internal Server Error')
      expect(text).not.toContain('secret')
    }
  })
})

test('an app of somebody’s own has the dialects where it asks for them', async () => {
  const statusOf = async (hasDialects: boolean) => {
    const app = new Elysia().use(serveModels({ engine, authentication: { secret: SECRET }, hasDialects }))
    const [path, body] = REQUESTS.openai
    const init = { method: 'POST', headers: bearer('*'), body: JSON.stringify(body) }
    return (await app.handle(new Request(`http://localhost${path}`, init))).status
  }
  expect([await statusOf(true), await statusOf(false)]).toEqual([200, 404])
})

test('what is not there keeps our own form, and a wrong method has that of the dialect', async () => {
  const app = createServer(engine)
  const of = async (method: string, path: string) => {
    const response = await app.handle(new Request(`http://localhost${path}`, { method }))
    return [response.status, (await response.json()) as unknown]
  }
  expect(await of('POST', '/v1/chat/completions')).toEqual([404, { status_code: 404, detail: 'Not Found', error: null }])
  expect(await of('GET', '/v1/embeddings')).toEqual([405, { error: expect.objectContaining({ message: 'Method Not Allowed' }) }])
  expect(await of('GET', '/models/mood/embed')).toEqual([405, { error: 'Method Not Allowed', error_type: 'Validation' }])
})

describe('a coding that is not supported', () => {
  const app = createServer(engine)
  /** A model that each route can ask, by how its path ends; the others take embeddings. */
  const fitting: readonly (readonly [end: string, model: string])[] = [
    ['/rerank', 'best'],
    ['/:name/', 'mood'],
    // The name of this route has its action at the end.
    ['/v1/models/:name', 'mood:predict'],
    ['/embed_sparse', 'gaps'],
  ]
  const modelFor = (path: string) => fitting.find(([end]) => path.endsWith(end))?.[1] ?? 'embedding'
  const paths = app.routes
    .filter(({ method }) => method === 'POST')
    .map(({ path }) => path)
    .filter((path) => dialectOf(new Request(`http://localhost${path}`, { method: 'POST' }), path) !== undefined)
  test('is looked for on every route of a dialect', () => expect(paths.length).toBeGreaterThan(15))

  for (const path of paths) {
    test(`is 415 on ${path}`, async () => {
      const target = path.replace(':name', modelFor(path))
      for (const coding of ['br', 'gzip, br', 'nonsense']) {
        const response = await app.handle(
          new Request(`http://localhost${target}`, {
            method: 'POST',
            headers: { ...bearer('*'), 'content-encoding': coding },
            body: '{}',
          }),
        )
        expect([target, coding, response.status, response.headers.get('accept-encoding')]).toEqual([
          target,
          coding,
          415,
          'gzip, deflate',
        ])
      }
    })
  }
})
