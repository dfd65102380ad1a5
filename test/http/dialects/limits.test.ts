import { afterAll, describe, expect, test } from 'bun:test'
import type { Engine } from '../../../src/index.ts'
import { startDialectModels } from '../../support/dialect-models.ts'
import { createServer } from '../../support/server.ts'
import { idOfToken } from '../../support/text-models.ts'
import { bearer } from '../../support/tokens.ts'

const { engine, stop } = await startDialectModels({ hasPictures: true })
afterAll(stop)
const plain = createServer(engine)
/** Computes nothing: zeros in the place of vectors and scores, for bodies with thousands of texts. */
const quick = createServer({
  ...engine,
  async infer(model, version, inputs) {
    const outputs = engine.model(model)?.versions.find((each) => each.version === version)?.outputs ?? []
    const tokens = inputs.get('input_ids')?.shape[1] ?? 0
    return new Map(
      outputs.map(({ name, shape }) => {
        const own = shape.length === 3 ? [1, tokens, shape[2] ?? 0] : [1, shape[1] ?? 0]
        return [name, { datatype: 'FP32', shape: own, data: new Float32Array(own.reduce((a, b) => a * b)) }] as const
      }),
    )
  },
})
const withIds = createServer(engine, { mayBeTokenIds: true })

async function post(path: string, body: unknown, app = plain) {
  const init = { method: 'POST', headers: bearer('model:*:*'), body: JSON.stringify(body) }
  const response = await app.handle(new Request(`http://localhost${path}`, init))
  const text = await response.text()
  return { status: response.status, text, body: JSON.parse(text) as unknown }
}

const many = (count: number, one: unknown = '') => Array(count).fill(one)
const OPENAI = '/models/embedding/v1/embeddings'
const [COHERE, COHERE_RANK, JINA] = ['/models/embedding/v2/embed', '/models/best/v2/rerank', '/models/best/v1/rerank']
const tei = (model: string, route: string) => `/models/${model}/${route}`
const query = 'good'

/** A body of each route that is accepted, and one beside it that is not, with what is said of it. */
const CASES: readonly (readonly [what: string, path: string, accepted: object, rejected: object, rule: string])[] = [
  ['2048 texts', OPENAI, { input: many(2048, 'a') }, { input: many(2049, 'a') }, 'has 2049 items; a request may have 2048'],
  ['a text of one character', OPENAI, { input: 'a' }, { input: '' }, 'is empty; send a text of one character or more'],
  [
    'texts of one character',
    OPENAI,
    { input: ['a', 'b'] },
    { input: ['a', ''] },
    'is empty; send a text of one character or more',
  ],
  ['texts in a list', OPENAI, { input: ['a'] }, { input: { text: 'a' } }, 'must be a text or a list of texts'],
  ['texts, and nothing else', OPENAI, { input: ['a', 'b'] }, { input: ['a', 1] }, 'must be a text'],
  ['a list with something in it', OPENAI, { input: ['a'] }, { input: [] }, 'is empty; send one text or more'],
  [
    'one of two forms',
    OPENAI,
    { input: 'a', encoding_format: 'float' },
    { input: 'a', encoding_format: 'hex' },
    'must be one of float, base64',
  ],
  ['one dimension', OPENAI, { input: 'a', dimensions: 1 }, { input: 'a', dimensions: 0 }, 'must be a whole number from 1'],
  ['fields that it knows', OPENAI, { input: 'a', user: 'ada' }, { input: 'a', users: 'ada' }, 'is not a field of this request'],
  ['null for what is not given', OPENAI, { input: 'a', user: null }, { input: null }, 'must be a text or a list of texts'],
  ['96 texts', COHERE, { texts: many(96) }, { texts: many(97) }, 'has 97 items; a request may have 96'],
  [
    '96 inputs',
    COHERE,
    { inputs: many(96, { content: [{ type: 'text', text: 'a' }] }) },
    { inputs: many(97, { content: [{ type: 'text', text: 'a' }] }) },
    'has 97 items; a request may have 96',
  ],
  [
    'inputs of one text',
    COHERE,
    { inputs: [{ content: [{ type: 'text', text: 'a' }] }] },
    {
      inputs: [
        {
          content: [
            { type: 'text', text: 'a' },
            { type: 'text', text: 'b' },
          ],
        },
      ],
    },
    'a list of one',
  ],
  [
    'inputs of texts',
    COHERE,
    { inputs: [{ content: [{ type: 'text', text: 'a' }] }] },
    { inputs: [{ content: [{ type: 'image_url', text: 'a' }] }] },
    'a list of one',
  ],
  [
    'inputs with a text',
    COHERE,
    { inputs: [{ content: [{ type: 'text', text: '' }] }] },
    { inputs: [{ content: [{ type: 'text' }] }] },
    'a list of one',
  ],
  [
    'inputs that are objects',
    COHERE,
    { inputs: [{ content: [{ type: 'text', text: 'a' }] }] },
    { inputs: ['a'] },
    'a list of one',
  ],
  ['texts alone', COHERE, { texts: ['a'] }, { texts: ['a'], inputs: [] }, 'stands beside texts; send one of the two'],
  ['texts at all', COHERE, { texts: ['a'] }, {}, 'must be a list of texts'],
  [
    'a form of vectors',
    COHERE,
    { texts: ['a'], embedding_types: ['float'] },
    { texts: ['a'], embedding_types: [] },
    'is empty; leave it out for float',
  ],
  [
    'a purpose of texts',
    COHERE,
    { texts: ['a'], input_type: 'clustering' },
    { texts: ['a'], input_type: 'image' },
    'cannot be embedded here',
  ],
  [
    'one token',
    COHERE,
    { texts: ['a'], max_tokens: 3 },
    { texts: ['a'], max_tokens: 0 },
    'must be a whole number from 1: tokens of a text',
  ],
  [
    '1000 documents',
    COHERE_RANK,
    { query, documents: many(1000) },
    { query, documents: many(1001) },
    'has 1001 items; a request may have 1000',
  ],
  [
    'one document in the answer',
    COHERE_RANK,
    { query, documents: ['a'], top_n: 1 },
    { query, documents: ['a'], top_n: 0 },
    'must be a whole number from 1: documents in the answer',
  ],
  [
    '2048 documents',
    JINA,
    { query, documents: many(2048) },
    { query, documents: many(2049) },
    'has 2049 items; a request may have 2048',
  ],
  [
    'documents with a text',
    JINA,
    { query, documents: [{ text: 'a' }, 'b'] },
    { query, documents: [{ title: 'a' }] },
    'must be a text',
  ],
  ['documents in a list', JINA, { query, documents: ['a'] }, { query, documents: 'a' }, 'must be a list of texts, or of objects'],
  ['32 texts', tei('embedding', 'embed'), { inputs: many(32) }, { inputs: many(33) }, 'has 33 items; a request may have 32'],
  [
    '32 texts of tokens',
    tei('embedding', 'embed_all'),
    { inputs: many(32) },
    { inputs: many(33) },
    'has 33 items; a request may have 32',
  ],
  [
    '32 sparse texts',
    tei('gaps', 'embed_sparse'),
    { inputs: many(32) },
    { inputs: many(33) },
    'has 33 items; a request may have 32',
  ],
  [
    '32 texts to tokens',
    tei('embedding', 'tokenize'),
    { inputs: many(32) },
    { inputs: many(33) },
    'has 33 items; a request may have 32',
  ],
  [
    '32 lists of ids',
    tei('embedding', 'decode'),
    { ids: many(32, [5]) },
    { ids: many(33, [5]) },
    'has 33 items; a request may have 32',
  ],
  [
    'ids up to 2³¹ - 1',
    tei('embedding', 'decode'),
    { ids: [0, 2 ** 31 - 1] },
    { ids: [2 ** 31] },
    'must be whole numbers from 0',
  ],
  [
    '32 texts to rank',
    tei('best', 'rerank'),
    { query, texts: many(32) },
    { query, texts: many(33) },
    'has 33 items; a request may have 32',
  ],
  [
    '32 pairs',
    tei('mood', 'predict'),
    { inputs: many(32, ['a']) },
    { inputs: many(33, ['a']) },
    'has 33 items; a request may have 32',
  ],
  [
    'lists of two texts',
    tei('mood', 'predict'),
    { inputs: [['a', 'b']] },
    { inputs: [['a', 'b', 'c']] },
    'must be a list of one or two texts',
  ],
  ['pairs of texts', tei('mood', 'predict'), { inputs: ['a', 'b'] }, { inputs: ['a', 1] }, 'must be a list of one or two texts'],
  ['lists of texts', tei('mood', 'predict'), { inputs: [['a']] }, { inputs: [[1]] }, 'must be a list of one or two texts'],
  [
    'something to predict',
    tei('mood', 'predict'),
    { inputs: 'a' },
    { inputs: { text: 'a' } },
    'must be a text, a pair of texts, or a list',
  ],
  [
    '31 sentences',
    tei('embedding', 'similarity'),
    { inputs: { source_sentence: '', sentences: many(31) } },
    { inputs: { source_sentence: '', sentences: many(32) } },
    'has 32 items; a request may have 31',
  ],
  [
    'sides by their names',
    tei('embedding', 'embed'),
    { inputs: 'a', truncation_direction: 'Left' },
    { inputs: 'a', truncation_direction: 'lefts' },
    'must be right or left',
  ],
  [
    'fields of similarity',
    tei('embedding', 'similarity'),
    { inputs: { source_sentence: '', sentences: [''] }, parameters: { prompt_name: 'query' } },
    { inputs: { source_sentence: '', sentences: [''] }, parameters: { prompt: 'a' } },
    'parameters.prompt',
  ],
  [
    '2048 texts of Hugging Face',
    '/models/mood',
    { inputs: many(2048) },
    { inputs: many(2049) },
    'has 2049 items; a request may have 2048',
  ],
  [
    '2048 pairs of Hugging Face',
    '/models/mood',
    { inputs: many(2048, { text: '' }) },
    { inputs: many(2049, { text: '' }) },
    'has 2049 items; a request may have 2048',
  ],
  [
    'texts among pairs',
    '/models/mood',
    { inputs: ['a', { text: 'b', text_pair: 'c' }] },
    { inputs: [{ text: 'a' }, 1] },
    '"inputs[1]" must be an object with "text", "text_pair"',
  ],
  [
    'a second text that is null',
    '/models/mood',
    { inputs: { text: 'a', text_pair: null } },
    { inputs: { text_pair: 'a' } },
    '"inputs.text" is missing',
  ],
  [
    '1024 texts for two labels',
    '/models/topics',
    { inputs: many(2), parameters: { candidate_labels: ['a', 'b'] } },
    { inputs: many(1025), parameters: { candidate_labels: ['a', 'b'] } },
    'has 1025 texts for 2 labels; a request may have 2048 pairs of them',
  ],
  [
    '256 labels',
    '/models/topics',
    { inputs: 'a', parameters: { candidate_labels: many(256, 'a') } },
    { inputs: 'a', parameters: { candidate_labels: many(257, 'a') } },
    'has 257 items; a request may have 256',
  ],
  [
    'labels with something in them',
    '/models/topics',
    { inputs: 'a', parameters: { candidate_labels: 'a, b' } },
    { inputs: 'a', parameters: { candidate_labels: 'a, ' } },
    'has an empty label',
  ],
  [
    '100 tokens for a mask',
    '/models/gaps',
    { inputs: '[MASK]', parameters: { top_k: 100 } },
    { inputs: '[MASK]', parameters: { top_k: 101 } },
    '"parameters.top_k" must be a whole number from 1 to 100',
  ],
  [
    'parameters of its task',
    '/models/mood',
    { inputs: 'a', parameters: { top_k: 1 } },
    { inputs: 'a', parameters: 1 },
    '"parameters" must be an object with "top_k"',
  ],
  [
    'fields of its task',
    '/models/mood',
    { inputs: 'a', options: {} },
    { inputs: 'a', normalize: true },
    '"normalize" is not a field of this request',
  ],
  ['an object', '/models/mood', { inputs: 'a' }, ['a'], '"body" must be JSON, such as {"inputs": "a text"}'],
  ['instances in a list', '/v1/models/mood:predict', { instances: [] }, { instances: {} }, '"instances" must be a list'],
  ['an object with a name', '/v1/embeddings', { model: 'embedding', input: 'a' }, ['a'], '"body" must be an object with "model"'],
  [
    'an object of tokens',
    tei('embedding', 'embed'),
    { inputs: 'a' },
    ['a'],
    '"body" must be an object with "inputs", "truncate"',
  ],
]

describe('a dialect', () => {
  for (const [what, path, accepted, rejected, rule] of CASES)
    test(`takes ${what} on ${path}, and says what is wrong beside it`, async () => {
      const answer = await post(path, accepted, quick)
      expect([answer.status, answer.status === 200 || answer.text]).toEqual([200, true])
      const rejection = await post(path, rejected)
      expect([
        rejection.status >= 400 && rejection.status < 500,
        JSON.parse(`"${rejection.text.replaceAll(/\\?"/g, "'")}"`),
      ]).toEqual([true, expect.stringContaining(rule.replaceAll('"', "'"))])
    })

  test('names at most eight faults of a body', async () => {
    const body = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`unknown${index}`, 1]))
    const { text } = await post('/models/mood', { inputs: 'a', ...body })
    expect(text.match(/unknown\d/g)).toHaveLength(8)
  })
})

describe('ids of tokens', () => {
  const good = idOfToken('good')

  test('are accepted where the setting says so: one list, or lists among texts', async () => {
    const vectorsOf = async (input: unknown) => {
      const { body } = await post(OPENAI, { input }, withIds)
      return (body as { readonly data: readonly { readonly embedding: unknown }[] }).data.map(({ embedding }) => embedding)
    }
    const [one] = await vectorsOf([good])
    expect(await vectorsOf(['good', [good], [good, good]])).toEqual([expect.anything(), one, one])
    expect(await vectorsOf([[good]])).toEqual([one])
  })

  test('are rejected where they are no ids, or beyond all vocabularies', async () => {
    for (const [input, rule] of [
      [[[good, 'a']], 'must be a text'],
      [[good, 'a'], 'must be a text'],
      [[[]], 'is empty; send one id or more'],
      [[[-1]], 'must be whole numbers from 0'],
      [[[0.5]], 'must be whole numbers from 0'],
      [[2 ** 31], 'must be whole numbers from 0'],
    ] as const) {
      const { status, text } = await post(OPENAI, { input }, withIds)
      expect([input, status, text]).toEqual([input, 400, expect.stringContaining(rule)])
    }
  })

  test('are not accepted by Hugging Face’s body', async () => {
    expect(await post('/models/mood', { inputs: [[good]] }, withIds)).toMatchObject({
      status: 400,
      text: expect.stringContaining('token_ids'),
    })
  })
})

test('texts among ids are rejected where ids are asked for', async () => {
  for (const ids of [[[5], 'a'], ['a', [5]], 'a'])
    expect(await post(tei('embedding', 'decode'), { ids })).toMatchObject({
      status: 422,
      text: expect.stringContaining('must be ids of tokens'),
    })
})

describe('what an answer has', () => {
  /** The engine, whose model gives vectors with such a number. */
  const giving = (number: number): Engine => ({
    ...engine,
    infer: async (...asked) => {
      const results = await engine.infer(...asked)
      for (const { data } of results.values()) (data as Float32Array)[0] = number
      return results
    },
  })

  test('is no number that JSON cannot write, where the model gives one', async () => {
    for (const number of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const app = createServer(giving(number))
      for (const route of ['embed', 'embed_all'])
        expect(await post(tei('embedding', route), { inputs: 'a' }, app)).toMatchObject({
          status: 424,
          body: { error: 'The model gave a vector with a number that is not finite', error_type: 'Backend' },
        })
    }
  })

  test('is sorted, and of equal scores in the order of the texts', async () => {
    const texts = ['alpha', 'good', 'beta', 'good good', 'good']
    const order = async (path: string, body: object) =>
      JSON.stringify((await post(path, body)).body)
        .match(/"index":\d/g)
        ?.map((each) => Number(each.slice(8)))
    expect(await order(tei('best', 'rerank'), { query: 'a', texts })).toEqual([3, 1, 4, 0, 2])
    expect(await order(JINA, { query: 'a', documents: texts, top_n: 2 })).toEqual([3, 1])
    expect(await order(COHERE_RANK, { query: 'a', documents: texts, top_n: 4 })).toEqual([3, 1, 4, 0])
  })

  test('has Jina’s documents unless they are not asked for, and their tokens', async () => {
    const ask = async (more: object) => (await post(JINA, { query: 'a', documents: [{ text: 'good' }], ...more })).body
    expect(await ask({})).toMatchObject({ usage: { total_tokens: 5 }, results: [{ document: { text: 'good' } }] })
    expect(JSON.stringify(await ask({ return_documents: false }))).not.toContain('document')
  })

  test('has Hugging Face’s vectors as they are asked for, beside the inputs or in the parameters', async () => {
    const ask = async (body: object) => (await post('/models/embedding', { inputs: 'good', ...body })).body as number[][]
    const [whole] = await ask({ normalize: false })
    expect(await ask({ normalize: false, dimensions: 2 })).toEqual([whole?.slice(0, 2) ?? []])
    expect(await ask({ normalize: true, parameters: { normalize: false } })).toEqual([whole ?? []])
    expect(await ask({ parameters: { normalize: false, dimensions: 1 } })).toEqual([whole?.slice(0, 1) ?? []])
  })

  test('is of the shorter text where Cohere’s tokens of a document are fewer than the model takes', async () => {
    const ask = async (most: number) => {
      const { body } = await post(COHERE_RANK, { query: 'a', documents: ['alpha good good'], max_tokens_per_doc: most })
      return (body as { meta: { billed_units: object } }).meta.billed_units
    }
    expect([await ask(1), await ask(2), await ask(3), await ask(11), await ask(12)]).toEqual(
      [5, 6, 7, 7, 7].map((input_tokens) => ({ input_tokens })),
    )
  })

  test('has the prompts of Cohere’s purposes, and none where the model has none of them', async () => {
    const tokens = async (input_type?: string) => {
      const { body } = await post(COHERE, { texts: ['a'], input_type })
      return (body as { meta: { billed_units: { input_tokens: number } } }).meta.billed_units.input_tokens
    }
    expect([await tokens('search_query'), await tokens('search_document'), await tokens('clustering'), await tokens()]).toEqual([
      5, 4, 3, 3,
    ])
  })

  test('has each form of Cohere’s vectors once', async () => {
    const { text } = await post(COHERE, { texts: ['a'], embedding_types: ['ubinary', 'ubinary', 'float'] })
    expect(text.match(/"(?:u?binary|float)":/g)).toEqual(['"ubinary":', '"float":'])
  })

  test('has the places of tokens in code points, and those of special ones as null', async () => {
    const { body } = await post(tei('embedding', 'tokenize'), { inputs: ['a 😀', '😀 😀 b'] })
    expect((body as { start: number; stop: number }[][]).map((tokens) => tokens.map(({ start, stop }) => [start, stop]))).toEqual(
      [
        [
          [null, null],
          [0, 1],
          [2, 3],
          [null, null],
        ],
        [
          [null, null],
          [0, 1],
          [2, 3],
          [4, 5],
          [null, null],
        ],
      ] as never,
    )
  })

  test('says that a model is ready where one of its versions is', async () => {
    const withStates = (...states: readonly ('ready' | 'loading')[]) =>
      createServer({
        ...engine,
        model(name) {
          const model = engine.model(name)
          const [version] = model?.versions ?? []
          if (model === undefined || version === undefined) return model
          return { ...model, versions: states.map((state, index) => ({ ...version, version: `${index + 1}`, state })) }
        },
      })
    for (const [states, ready] of [
      [['ready'], true],
      [['loading', 'ready'], true],
      [['loading', 'loading'], false],
    ] as const) {
      const request = new Request('http://localhost/v1/models/mood', { headers: bearer('*') })
      expect(await (await withStates(...states).handle(request)).json()).toMatchObject({ name: 'mood', ready })
    }
  })

  test('says what a model takes, also where it is none of texts', async () => {
    const info = async (name: string) =>
      (await plain.handle(new Request(`http://localhost/models/${name}/info`, { headers: bearer('*') }))).json()
    expect(await info('plain')).toMatchObject({ model_type: {}, max_input_length: 0, auto_truncate: true, model_sha: null })
    expect(await info('colours')).toMatchObject({ max_input_length: 0 })
    expect(await info('areas')).toMatchObject({ model_type: {} })
    expect(await info('embedding')).toMatchObject({ max_input_length: 12 })
  })
})
