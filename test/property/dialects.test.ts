import { afterAll, describe, expect, test } from 'bun:test'
import { COHERE_SCHEMAS } from '../../src/http/dialects/cohere.ts'
import { HUGGING_FACE_SCHEMAS } from '../../src/http/dialects/hugging-face.ts'
import { JINA_SCHEMAS } from '../../src/http/dialects/jina.ts'
import { KSERVE_SCHEMAS } from '../../src/http/dialects/kserve.ts'
import { OPENAI_SCHEMAS } from '../../src/http/dialects/openai.ts'
import { TEI_SCHEMAS } from '../../src/http/dialects/tei.ts'
import { startDialectModels } from '../support/dialect-models.ts'
import { below, seeded } from '../support/seed.ts'
import { createServer } from '../support/server.ts'
import { bearer } from '../support/tokens.ts'

const { engine, stop } = await startDialectModels()
afterAll(stop)
const bugs: unknown[] = []
const app = createServer(engine, { report: (error) => bugs.push(error) })
const headers = { ...bearer('*'), 'content-type': 'application/json' }

const text = expect.stringMatching(/./)
/** How a failure looks in each dialect. */
const FORMS = {
  openai: { error: { message: text, type: text, param: expect.anything(), code: expect.anything() } },
  tei: { error: text, error_type: text },
  cohere: { message: text },
  jina: { detail: text },
  plain: { error: text },
}

interface Route {
  readonly path: string
  readonly form: keyof typeof FORMS
  readonly fields: readonly string[]
  readonly body: Readonly<Record<string, unknown>>
}

const fieldsOf = ({ properties }: { readonly properties: object }) => Object.keys(properties)
const DOCUMENTS = { query: 'alpha', documents: ['good', 'bad'] }
const SENTENCES = { source_sentence: 'good', sentences: ['bad'] }
const ROUTES: readonly Route[] = [
  {
    path: '/v1/embeddings',
    form: 'openai',
    fields: fieldsOf(OPENAI_SCHEMAS.OpenAiEmbeddingsRequest),
    body: { model: 'embedding', input: 'good' },
  },
  {
    path: '/models/embedding/v1/embeddings',
    form: 'openai',
    fields: fieldsOf(OPENAI_SCHEMAS.OpenAiEmbeddingsRequest),
    body: { input: ['good'] },
  },
  {
    path: '/v2/embed',
    form: 'cohere',
    fields: fieldsOf(COHERE_SCHEMAS.CohereEmbedRequest),
    body: { model: 'embedding', texts: ['good'] },
  },
  {
    path: '/v2/rerank',
    form: 'cohere',
    fields: fieldsOf(COHERE_SCHEMAS.CohereRerankRequest),
    body: { model: 'best', ...DOCUMENTS },
  },
  { path: '/v1/rerank', form: 'jina', fields: fieldsOf(JINA_SCHEMAS.JinaRerankRequest), body: { model: 'best', ...DOCUMENTS } },
  { path: '/models/embedding/embed', form: 'tei', fields: fieldsOf(TEI_SCHEMAS.TeiEmbedRequest), body: { inputs: 'good' } },
  {
    path: '/models/embedding/embed_all',
    form: 'tei',
    fields: fieldsOf(TEI_SCHEMAS.TeiEmbedTokensRequest),
    body: { inputs: 'good' },
  },
  {
    path: '/models/embedding/tokenize',
    form: 'tei',
    fields: fieldsOf(TEI_SCHEMAS.TeiTokenizeRequest),
    body: { inputs: 'good' },
  },
  { path: '/models/embedding/decode', form: 'tei', fields: fieldsOf(TEI_SCHEMAS.TeiDecodeRequest), body: { ids: [7] } },
  {
    path: '/models/gaps/embed_sparse',
    form: 'tei',
    fields: fieldsOf(TEI_SCHEMAS.TeiEmbedTokensRequest),
    body: { inputs: 'good [MASK]' },
  },
  { path: '/models/names', form: 'plain', fields: ['inputs', 'parameters'], body: { inputs: 'ada', parameters: { stride: 0 } } },
  {
    path: '/models/topics',
    form: 'plain',
    fields: ['inputs', 'parameters'],
    body: { inputs: 'good', parameters: { candidate_labels: ['good'] } },
  },
  { path: '/models/gaps', form: 'plain', fields: ['inputs', 'parameters'], body: { inputs: 'a [MASK]' } },
  {
    path: '/models/best/rerank',
    form: 'tei',
    fields: fieldsOf(TEI_SCHEMAS.TeiRerankRequest),
    body: { query: 'good', texts: ['bad'] },
  },
  {
    path: '/models/embedding/similarity',
    form: 'tei',
    fields: fieldsOf(TEI_SCHEMAS.TeiSimilarityRequest),
    body: { inputs: SENTENCES },
  },
  {
    path: '/models/embedding',
    form: 'plain',
    fields: fieldsOf(HUGGING_FACE_SCHEMAS.HuggingFaceRequest),
    body: { inputs: 'good' },
  },
  { path: '/models/mood', form: 'plain', fields: ['inputs', 'parameters'], body: { inputs: 'good', parameters: { top_k: 1 } } },
  {
    path: '/models/best',
    form: 'plain',
    fields: ['inputs', 'query', 'texts', 'parameters'],
    body: { query: 'good', texts: ['bad'] },
  },
  {
    path: '/v1/models/plain:predict',
    form: 'plain',
    fields: fieldsOf(KSERVE_SCHEMAS.KserveRequest),
    body: { instances: [[1, 2]] },
  },
  {
    path: '/v1/models/mood:predict',
    form: 'plain',
    fields: fieldsOf(KSERVE_SCHEMAS.KserveRequest),
    body: { instances: ['good'] },
  },
]

/** Values that no field takes in each of its places, and some that a few do. */
const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e308,
  2 ** 53,
  '',
  'x',
  '\ud800',
  'a'.repeat(5000),
  [],
  [[]],
  [null],
  [true],
  [1, 'a'],
  [['a', 1]],
  [-1],
  [['a', 'b', 'c']],
  {},
  { text: 1 },
  { a: { b: [{}] } },
  JSON.parse('{"__proto__": {"inputs": "a"}, "constructor": 1}'),
  Array(3000).fill('a'),
  Array(100).fill([]),
]

async function send(path: string, body: string | Uint8Array<ArrayBuffer>) {
  const response = await app.handle(new Request(`http://localhost${path}`, { method: 'POST', headers, body }))
  return { status: response.status, body: (await response.json()) as unknown }
}

/** An answer, or a rejection in the dialect's own form; never a bug of ours. */
function check(asked: unknown, form: Route['form'], answer: { readonly status: number; readonly body: unknown }): void {
  if (answer.status === 200) return
  // OpenAI's own fields may be null.
  const shown = JSON.parse(JSON.stringify(answer.body), (_, value: unknown) => (value === null ? 'null' : value)) as unknown
  expect({ asked, body: shown }).toEqual({ asked, body: FORMS[form] })
  const isRejection = answer.status >= 400 && answer.status < 500
  expect({ asked, ...answer, isRejection }).toEqual({ asked, ...answer, isRejection: true })
}

for (const { path, form, fields, body } of ROUTES) {
  describe(`POST ${path}`, () => {
    test('answers the body that the others are made of', async () => {
      expect((await send(path, JSON.stringify(body))).status).toBe(200)
    })

    test('rejects each field with each wrong value in its own form, or answers', async () => {
      for (const field of fields) {
        let rejected = 0
        for (const value of VALUES) {
          const answer = await send(path, JSON.stringify({ ...body, [field]: value }))
          check([field, JSON.stringify(value).slice(0, 60)], form, answer)
          if (answer.status !== 200) rejected += 1
        }
        // `options` of Hugging Face and the parameters of rows count for nothing.
        if (!['options', 'parameters'].includes(field)) expect([field, rejected > 5]).toEqual([field, true])
      }
    })

    test('rejects a field that it does not know, and says which', async () => {
      const answer = await send(path, JSON.stringify({ ...body, nonsense: 1 }))
      check('nonsense', form, answer)
      expect(JSON.stringify(answer)).toContain('nonsense')
    })

    test('rejects what is no object, no JSON and no text', async () => {
      for (const sent of [
        '',
        '{',
        'null',
        '[]',
        '"a"',
        '1',
        `${'['.repeat(200)}${']'.repeat(200)}`,
        new Uint8Array([0xff, 0xfe]),
        '{"a":1}{}',
      ]) {
        const answer = await send(path, sent)
        check(sent, form, answer)
        expect([sent, answer.status]).not.toEqual([sent, 200])
      }
    })

    test('answers or rejects a body with anything changed in it', async () => {
      const random = seeded(`dialects ${path}`)
      const whole = JSON.stringify({ ...body, truncate: true, top_n: 1 })
      for (let round = 0; round < 150; round += 1) {
        const bytes = Buffer.from(whole)
        for (let change = 0; change <= below(random, 3); change += 1) bytes[below(random, bytes.length)] = below(random, 256)
        check(`${bytes.toString('latin1')}: ${random.seed}`, form, await send(path, bytes))
      }
    })
  })
}

test('none of this was a bug of ours', () => {
  expect(bugs).toEqual([])
})
