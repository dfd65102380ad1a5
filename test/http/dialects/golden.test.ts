import { afterAll, describe, expect, test } from 'bun:test'
import { startDialectModels } from '../../support/dialect-models.ts'
import { answerOf, DOORS } from '../../support/doors.ts'
import { createServer } from '../../support/server.ts'
import { bearer } from '../../support/tokens.ts'

const { engine, stop } = await startDialectModels()
afterAll(stop)
const ALL = bearer('model:*:*')

/** The vectors of these texts: means of [1, -1, 1] for each token, [9, -1, 1] for `good` and [1, -9, 1] for `bad`, of length 1. */
const unit = (vector: readonly number[]) => vector.map((number) => number / Math.hypot(...vector))
const ALPHA = unit([1, -1, 1])
const GOOD = unit([11 / 3, -1, 1])
const BAD = unit([1, -11 / 3, 1])
const near = (vector: readonly number[]) => vector.map((number) => expect.closeTo(number, 6))
const near1 = expect.closeTo(1, 2)
const sigmoid = (score: number) => expect.closeTo(1 / (1 + Math.exp(-score)), 6)

for (const open of DOORS) {
  const door = open(createServer(engine))
  const withIds = open(createServer(engine, { mayBeTokenIds: true }))
  afterAll(async () => {
    await door.close()
    await withIds.close()
  })
  const post = (path: string, body: unknown, { headers = ALL, at = door } = {}) =>
    answerOf(at.fetch(path, { method: 'POST', headers, body: typeof body === 'string' ? body : JSON.stringify(body) }))
  const get = (path: string, headers = ALL) => answerOf(door.fetch(path, { headers }))
  const both = (path: string, name: string, body: object) => [
    [`/models/${name}${path}`, body] as const,
    [path, { ...body, model: name }] as const,
  ]

  describe(`OpenAI's bodies, ${door.name}`, () => {
    test('a list of texts is answered in its order, with the tokens that the model got', async () => {
      for (const [path, body] of both('/v1/embeddings', 'embedding', { input: ['alpha', 'good'] })) {
        expect(await post(path, body)).toEqual({
          status: 200,
          body: {
            object: 'list',
            data: [
              { object: 'embedding', index: 0, embedding: near(ALPHA) },
              { object: 'embedding', index: 1, embedding: near(GOOD) },
            ],
            model: 'embedding',
            usage: { prompt_tokens: 6, total_tokens: 6 },
          },
        })
      }
    })

    test('base64 has the same numbers as a list', async () => {
      const plain = await post('/v1/embeddings', { model: 'embedding', input: 'good', user: 'ada', dimensions: null })
      const { body } = await post('/v1/embeddings', { model: 'embedding', input: 'good', encoding_format: 'base64' })
      const { data } = body as { data: { embedding: string }[] }
      const bytes = Buffer.from(data[0]?.embedding ?? '', 'base64')
      const numbers = Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4))
      const { data: list } = plain.body as { data: { embedding: number[] }[] }
      expect(numbers).toEqual((list[0]?.embedding ?? []).map(Math.fround))
    })

    test('fewer dimensions have length 1 again; none and too many are rejected', async () => {
      const ask = (dimensions: number) => post('/v1/embeddings', { model: 'embedding', input: 'good', dimensions })
      const { body } = await ask(2)
      expect(body).toMatchObject({ data: [{ embedding: near(unit([11 / 3, -1])) }] })
      for (const dimensions of [0, 4, -1, 1.5]) {
        const refused = await ask(dimensions)
        expect(refused).toMatchObject({
          status: 400,
          body: { error: { type: 'invalid_request_error', param: 'dimensions', code: null } },
        })
      }
    })

    test('ids are rejected, and accepted where the setting says so', async () => {
      for (const input of [[2, 5, 3], [[2, 5, 3]]]) {
        expect((await post('/v1/embeddings', { model: 'embedding', input })).status).toBe(400)
        const accepted = await post('/v1/embeddings', { model: 'embedding', input }, { at: withIds })
        expect(accepted).toMatchObject({ status: 200, body: { data: [{ embedding: near(ALPHA) }], usage: { total_tokens: 3 } } })
      }
    })

    test('the list has the models that the token may read, and one is told alike where it is not there', async () => {
      const some = bearer('model:embedding:read', 'model:plain:read')
      const { body } = await get('/v1/models', some)
      expect(body).toEqual({
        object: 'list',
        data: ['embedding', 'plain'].map((id) => ({ id, object: 'model', created: expect.any(Number), owned_by: 'vestal' })),
        models: ['embedding', 'plain'],
      })
      expect(await get('/v1/models/plain', some)).toMatchObject({
        status: 200,
        body: { id: 'plain', name: 'plain', ready: true },
      })
      expect(await get('/models/plain/v1/models', some)).toMatchObject({ status: 200, body: { models: ['plain'] } })
      const forbidden = {
        status: 403,
        body: {
          error: {
            message: 'Insufficient permissions',
            type: 'invalid_request_error',
            param: null,
            code: 'insufficient_permissions',
          },
        },
      }
      expect(await get('/v1/models/secret', some)).toEqual(forbidden)
      expect(await get('/v1/models/nothing', some)).toEqual(forbidden)
      expect(await get('/v1/models/nothing')).toMatchObject({ status: 404, body: { error: { code: 'model_not_found' } } })
    })
  })

  describe(`a model that a body names, ${door.name}`, () => {
    const some = bearer('model:embedding:predict', 'model:best:predict')
    const routes = [
      ['/v1/embeddings', { input: 'alpha' }],
      ['/v2/embed', { texts: ['alpha'] }],
      ['/v1/rerank', { query: 'alpha', documents: ['good'] }],
      ['/v2/rerank', { query: 'alpha', documents: ['good'] }],
    ] as const

    test('is told alike where the token may not ask it and where it is not there', async () => {
      for (const [path, body] of routes) {
        const of = async (model: string) => {
          const response = await door.fetch(path, { method: 'POST', headers: some, body: JSON.stringify({ ...body, model }) })
          const header = response.headers.get('www-authenticate')?.replace(model, 'it')
          return { status: response.status, header, body: await response.json() }
        }
        const secret = await of('secret')
        expect(secret.status).toBe(403)
        expect(await of('nothing')).toEqual(secret)
        expect((await post(path, { ...body, model: 'nothing' })).status).toBe(404)
      }
    })

    test('is missing, no text, or longer than any name: 400', async () => {
      for (const [path, body] of routes) {
        for (const model of [undefined, null, 1, '', ['embedding'], 'x'.repeat(101)])
          expect([path, model, (await post(path, { ...body, model })).status]).toEqual([path, model, 400])
      }
    })

    test('asks for a token before the body is read, and takes 2 MB of it', async () => {
      const withText = (length: number) => {
        const body = JSON.stringify({ model: 'embedding', input: [''] })
        return body.replace('""', `"${'a'.repeat(length - body.length)}"`)
      }
      expect((await door.fetch('/v1/embeddings', { method: 'POST', body: withText(2_000_001) })).status).toBe(401)
      expect((await post('/v1/embeddings', withText(2_000_001))).status).toBe(413)
      expect((await post('/v1/embeddings', withText(2_000_000))).status).toBe(200)
    })
  })

  describe(`Cohere's bodies, ${door.name}`, () => {
    const UUID = expect.stringMatching(/^[0-9a-f-]{36}$/)
    const meta = (input_tokens: number) => ({ api_version: { version: '2' }, billed_units: { input_tokens } })

    test('texts are embedded in each form that is asked for', async () => {
      const types = ['float', 'base64', 'binary', 'ubinary']
      for (const [path, body] of both('/v2/embed', 'embedding', {
        texts: ['good', 'bad'],
        input_type: 'classification',
        embedding_types: types,
      })) {
        const answer = await post(path, body)
        expect(answer).toEqual({
          status: 200,
          body: {
            id: UUID,
            embeddings: {
              float: [near(GOOD), near(BAD)],
              base64: [expect.any(String), expect.any(String)],
              // 101 and 00000 behind it.
              ubinary: [[160], [160]],
              binary: [[32], [32]],
            },
            texts: ['good', 'bad'],
            meta: meta(6),
            response_type: 'embeddings_by_type',
          },
        })
      }
    })

    test('what a text is for chooses the prompt', async () => {
      const of = async (body: object) =>
        ((await post('/models/embedding/v2/embed', body)).body as { embeddings: unknown }).embeddings
      const plain = await of({ texts: ['query: bad', 'good bad'] })
      const query = (await of({ texts: ['bad'], input_type: 'search_query' })) as { float: unknown[] }
      const document = (await of({ texts: ['bad'], input_type: 'search_document' })) as { float: unknown[] }
      expect({ float: [...query.float, ...document.float] }).toEqual(plain as { float: unknown[] })
    })

    test('inputs of one text each are texts', async () => {
      const inputs = [{ content: [{ type: 'text', text: 'good' }] }]
      expect(await post('/models/embedding/v2/embed', { inputs, input_type: 'search_document' })).toMatchObject({
        status: 200,
        body: { texts: ['good'] },
      })
    })

    test('a text is cut where it is asked, and rejected where it is not', async () => {
      const long = `good ${'alpha '.repeat(30)}bad`
      const of = async (truncate: string) => post('/models/embedding/v2/embed', { texts: [long], truncate, max_tokens: 4 })
      expect(await of('END')).toMatchObject({ status: 200, body: { meta: meta(4) } })
      const [end, start] = [await of('END'), await of('START')].map(({ body }) => (body as { embeddings: object }).embeddings)
      expect(end).toEqual({ float: [near(unit([12 / 4, -1, 1]))] })
      expect(start).toEqual({ float: [near(unit([1, -12 / 4, 1]))] })
      expect(await of('NONE')).toMatchObject({ status: 400, body: { message: expect.stringContaining('tokens') } })
    })

    test('int8 needs a calibration set, pictures a model of pictures: 400 in its form', async () => {
      for (const more of [
        { embedding_types: ['int8'] },
        { embedding_types: ['float', 'uint8'] },
        { input_type: 'image' },
        { images: ['data:'] },
      ]) {
        const answer = await post('/models/embedding/v2/embed', { texts: ['good'], ...more })
        expect(answer).toEqual({ status: 400, body: { message: expect.any(String) } })
      }
    })

    test('documents are ranked, best first, as many as are asked for', async () => {
      const documents = ['alpha', 'good good', 'good']
      for (const [path, body] of both('/v2/rerank', 'best', { query: 'alpha', documents, top_n: 2 })) {
        expect(await post(path, body)).toEqual({
          status: 200,
          body: {
            id: UUID,
            results: [
              { index: 1, relevance_score: sigmoid(4) },
              { index: 2, relevance_score: sigmoid(2) },
            ],
            meta: meta(5 + 6 + 5),
          },
        })
      }
    })

    test('a document has fewer tokens where the request says so', async () => {
      const documents = ['alpha good', 'good alpha']
      const ask = (more: object) => post('/models/best/v2/rerank', { query: 'alpha', documents, ...more })
      expect(await ask({})).toMatchObject({
        body: { results: [{ relevance_score: sigmoid(2) }, { relevance_score: sigmoid(2) }] },
      })
      expect(await ask({ max_tokens_per_doc: 1 })).toMatchObject({
        body: {
          results: [
            { index: 1, relevance_score: sigmoid(2) },
            { index: 0, relevance_score: 0.5 },
          ],
        },
      })
    })

    test('97 texts, a list of none and 1 001 documents are rejected', async () => {
      expect((await post('/models/embedding/v2/embed', { texts: Array(96).fill('a') })).status).toBe(200)
      expect((await post('/models/embedding/v2/embed', { texts: Array(97).fill('a') })).status).toBe(400)
      expect((await post('/models/embedding/v2/embed', { texts: [] })).status).toBe(400)
      expect((await post('/models/best/v2/rerank', { query: 'a', documents: Array(1001).fill('a') })).status).toBe(400)
    })
  })

  describe(`Jina's bodies, ${door.name}`, () => {
    test('documents are texts, or objects with one', async () => {
      const documents = ['alpha', { text: 'good' }]
      for (const [path, body] of both('/v1/rerank', 'best', { query: 'beta', documents })) {
        expect(await post(path, body)).toEqual({
          status: 200,
          body: {
            model: 'best',
            usage: { total_tokens: 10 },
            results: [
              { index: 1, relevance_score: sigmoid(2), document: { text: 'good' } },
              { index: 0, relevance_score: 0.5, document: { text: 'alpha' } },
            ],
          },
        })
      }
      const { body } = await post('/models/best/v1/rerank', { query: 'beta', documents, top_n: 1, return_documents: false })
      expect(body).toMatchObject({ results: [{ index: 1 }] })
      expect(JSON.stringify(body)).not.toContain('document')
    })
  })

  describe(`the bodies of Text Embeddings Inference, ${door.name}`, () => {
    const tei = (name: string, route: string, body: unknown) => post(`/models/${name}/${route}`, body)

    test('/embed gives a list of vectors, for one text too', async () => {
      expect(await tei('embedding', 'embed', { inputs: 'good' })).toEqual({ status: 200, body: [near(GOOD)] })
      expect(await tei('embedding', 'embed', { inputs: ['good', 'bad'], truncate: true })).toEqual({
        status: 200,
        body: [near(GOOD), near(BAD)],
      })
      expect(await tei('embedding', 'embed', { inputs: 'good', normalize: false })).toEqual({
        status: 200,
        body: [near([11 / 3, -1, 1])],
      })
      expect(await tei('embedding', 'embed', { inputs: 'bad', prompt_name: 'passage' })).toEqual(
        await tei('embedding', 'embed', { inputs: 'good bad' }),
      )
    })

    test('/embed_all gives a vector for each token', async () => {
      expect(await tei('embedding', 'embed_all', { inputs: 'good' })).toEqual({
        status: 200,
        body: [
          [
            [1, -1, 1],
            [9, -1, 1],
            [1, -1, 1],
          ],
        ],
      })
    })

    test('/rerank gives places and scores, best first', async () => {
      const body = { query: 'beta', texts: ['alpha', 'good'] }
      expect(await tei('best', 'rerank', body)).toEqual({
        status: 200,
        body: [
          { index: 1, score: sigmoid(2) },
          { index: 0, score: 0.5 },
        ],
      })
      expect(await tei('best', 'rerank', { ...body, raw_scores: true, return_text: true })).toEqual({
        status: 200,
        body: [
          { index: 1, text: 'good', score: 2 },
          { index: 0, text: 'alpha', score: 0 },
        ],
      })
    })

    test('/predict takes a text, a pair, and a batch of both', async () => {
      const negative = [
        { score: sigmoid(2), label: 'negative' },
        { score: sigmoid(-2), label: 'positive' },
      ]
      for (const inputs of ['bad', ['bad', 'film']]) {
        expect(await tei('mood', 'predict', { inputs })).toEqual({ status: 200, body: negative })
      }
      expect(await tei('mood', 'predict', { inputs: [['bad'], ['bad', 'film']] })).toEqual({
        status: 200,
        body: [negative, negative],
      })
      expect(await tei('mood', 'predict', { inputs: 'bad', raw_scores: true })).toEqual({
        status: 200,
        body: [
          { score: 2, label: 'negative' },
          { score: 0, label: 'positive' },
        ],
      })
    })

    test('/predict answers our own body in our own form, and says what is wrong in each', async () => {
      expect(await tei('mood', 'predict/', { input: 'bad', parameters: { top_k: 1 } })).toEqual({
        status: 200,
        body: { output: [{ label: 'negative', score: sigmoid(2) }] },
      })
      expect(await tei('mood', 'predict', { inputs: ['a', 'b', 'c'] })).toMatchObject({
        status: 422,
        body: { error_type: 'Validation' },
      })
      expect(await tei('mood', 'predict', { input: 1 })).toMatchObject({ status: 400, body: { error: null } })
      expect(await tei('embedding', 'predict', { inputs: 'a' })).toMatchObject({ status: 400, body: { error: null } })
    })

    test('/tokenize and /decode are each other’s reverse, and places are code points', async () => {
      const { body } = await tei('embedding', 'tokenize', { inputs: '😀 adas', add_special_tokens: false })
      expect(body).toEqual([
        [
          { id: expect.any(Number), text: '😀', special: false, start: 0, stop: 1 },
          { id: expect.any(Number), text: 'ada', special: false, start: 2, stop: 5 },
          { id: expect.any(Number), text: 's', special: false, start: 5, stop: 6 },
        ],
      ])
      const whole = (await tei('embedding', 'tokenize', { inputs: ['good', 'bad film'] })).body as { id: number }[][]
      expect(whole[0]?.[0]).toEqual({ id: 2, text: '[CLS]', special: true, start: null, stop: null } as never)
      const ids = whole.map((tokens) => tokens.map(({ id }) => id))
      expect(await tei('embedding', 'decode', { ids })).toEqual({ status: 200, body: ['good', 'bad film'] })
      expect(await tei('embedding', 'decode', { ids: ids[0], skip_special_tokens: false })).toEqual({
        status: 200,
        body: ['[CLS] good [SEP]'],
      })
      for (const wrong of ['a', ['a'], [-1], [1.5], [[]], 7]) {
        const answer = await tei('embedding', 'decode', { ids: wrong })
        expect([wrong, answer]).toEqual([wrong, { status: 422, body: { error: expect.any(String), error_type: 'Validation' } }])
      }
      expect((await tei('plain', 'tokenize', { inputs: 'a' })).status).toBe(424)
    })

    test('/embed_sparse gives weights of the vocabulary', async () => {
      const { status, body } = await tei('gaps', 'embed_sparse', { inputs: 'good [MASK]' })
      expect(status).toBe(200)
      const entries = (body as { index: number; value: number }[][])[0] ?? []
      expect(entries.map(({ value }) => value).sort()).toEqual(
        [Math.log1p(2), Math.log1p(3)].map((value) => expect.closeTo(value, 6)),
      )
      expect((await tei('embedding', 'embed_sparse', { inputs: 'good' })).status).toBe(424)
    })

    test('/similarity gives cosines', async () => {
      const inputs = { source_sentence: 'good', sentences: ['good', 'bad'] }
      const cosine = GOOD.reduce((sum, number, index) => sum + number * (BAD[index] ?? 0), 0)
      for (const parameters of [undefined, null, {}, { truncate: true }]) {
        expect(await tei('embedding', 'similarity', { inputs, parameters })).toEqual({
          status: 200,
          body: [expect.closeTo(1, 6), expect.closeTo(cosine, 6)],
        })
      }
    })

    test('/info and /health say what the model is', async () => {
      expect(await get('/models/embedding/info')).toMatchObject({
        status: 200,
        body: {
          model_id: 'embedding',
          model_type: { embedding: { pooling: 'mean' } },
          max_input_length: 12,
          max_client_batch_size: 32,
        },
      })
      expect(await get('/models/mood/info')).toMatchObject({
        body: { model_type: { classifier: { id2label: { 0: 'negative', 1: 'positive' } } } },
      })
      expect(await get('/models/best/info')).toMatchObject({ body: { model_type: { reranker: { label2id: { LABEL_0: 0 } } } } })
      expect(await get('/models/best/health')).toEqual({ status: 200, body: '' })
      expect(await get('/models/nothing/health')).toMatchObject({ status: 404, body: { error_type: 'Validation' } })
    })

    test('failures have its statuses and types', async () => {
      const long = 'alpha '.repeat(30)
      const cases: readonly (readonly [model: string, route: string, body: unknown, status: number, type: string])[] = [
        ['embedding', 'embed', { inputs: long, truncate: false }, 422, 'Validation'],
        ['embedding', 'embed', { inputs: Array(33).fill('a') }, 422, 'Validation'],
        ['embedding', 'embed', { inputs: [] }, 400, 'Empty'],
        ['embedding', 'embed', { inputs: 'a', prompt_name: 'nothing' }, 422, 'Validation'],
        ['embedding', 'embed', { inputs: 'a', dimensions: 4 }, 422, 'Validation'],
        ['embedding', 'embed', {}, 422, 'Validation'],
        ['embedding', 'embed', '{', 422, 'Validation'],
        ['mood', 'embed', { inputs: 'a' }, 424, 'Backend'],
        ['plain', 'embed', { inputs: 'a' }, 424, 'Backend'],
        ['embedding', 'rerank', { query: 'a', texts: ['a'] }, 424, 'Backend'],
        ['best', 'rerank', { query: 'a', texts: [] }, 400, 'Empty'],
        ['best', 'rerank', { query: 'a', texts: Array(33).fill('a') }, 422, 'Validation'],
        ['nothing', 'embed', { inputs: 'a' }, 404, 'Validation'],
      ]
      for (const [model, route, body, status, type] of cases) {
        const answer = await tei(model, route, body)
        expect([model, route, body, answer]).toEqual([
          model,
          route,
          body,
          { status, body: { error: expect.any(String), error_type: type } },
        ])
      }
      expect((await tei('embedding', 'embed', { inputs: Array(32).fill('a') })).status).toBe(200)
      expect((await tei('embedding', 'embed', `{"inputs":"${'a'.repeat(2_000_000)}"}`)).status).toBe(413)
    })
  })

  describe(`the bodies of Hugging Face, ${door.name}`, () => {
    const ask = (name: string, body: unknown) => post(`/models/${name}`, body)

    test('a model of embeddings gives features, and similarity where sentences are compared', async () => {
      expect(await ask('embedding', { inputs: 'good' })).toEqual({ status: 200, body: [near(GOOD)] })
      expect(await ask('embedding', { inputs: ['good'], normalize: false, options: { wait_for_model: true } })).toEqual({
        status: 200,
        body: [near([11 / 3, -1, 1])],
      })
      expect(await ask('embedding', { inputs: 'bad', parameters: { prompt_name: 'passage' } })).toEqual(
        await ask('embedding', { inputs: 'good bad' }),
      )
      const { body } = await ask('embedding', { inputs: { source_sentence: 'good', sentences: ['good'] } })
      expect(body).toEqual([expect.closeTo(1, 6)])
    })

    test('a classifier gives its labels in a list of lists', async () => {
      const negative = [
        { label: 'negative', score: sigmoid(2) },
        { label: 'positive', score: sigmoid(-2) },
      ]
      expect(await ask('mood', { inputs: 'bad' })).toEqual({ status: 200, body: [negative] })
      expect(await ask('mood', { inputs: ['bad', 'bad'], parameters: { top_k: 1 } })).toEqual({
        status: 200,
        body: [negative.slice(0, 1), negative.slice(0, 1)],
      })
      expect(
        await ask('mood', { inputs: { text: 'bad', text_pair: 'film' }, parameters: { function_to_apply: 'none' } }),
      ).toMatchObject({ body: [[{ label: 'negative', score: 2 }, { score: 0 }]] })
    })

    test('a reranker takes a pair, and a query with texts', async () => {
      expect(await ask('best', { inputs: { text: 'beta', text_pair: 'good' } })).toEqual({
        status: 200,
        body: [[{ label: 'LABEL_0', score: sigmoid(2) }]],
      })
      expect(await ask('best', { query: 'beta', texts: ['good'] })).toEqual({
        status: 200,
        body: [{ index: 0, score: sigmoid(2) }],
      })
    })

    test('entities have the places of code points, joined unless the request says otherwise', async () => {
      const entities = [
        { entity_group: 'PER', score: near1, word: 'ada', start: 2, end: 5 },
        { entity_group: 'LOC', score: near1, word: 'paris', start: 9, end: 14 },
      ]
      const inputs = '😀 ada is paris'
      expect(await ask('names', { inputs })).toEqual({ status: 200, body: entities })
      expect(await ask('names', { inputs: [inputs, 'film'], parameters: { ignore_labels: ['LOC', 'O'] } })).toEqual({
        status: 200,
        body: [entities.slice(0, 1), []],
      })
      const { body } = await ask('names', { inputs: 'adas', parameters: { aggregation_strategy: 'none' } })
      expect(body).toEqual([
        { entity: 'B-PER', index: 1, score: near1, word: 'ada', start: 0, end: 3 },
        { entity: 'I-PER', index: 2, score: near1, word: '##s', start: 3, end: 4 },
      ])
      expect((await ask('names', { inputs, parameters: { aggregation_strategy: 'most' } })).status).toBe(400)
    })

    test('zero-shot gives labels and scores, of labels in a list or with commas', async () => {
      const [film, other] = [Math.E / (Math.E + 1), 1 / (Math.E + 1)]
      const expected = [
        { label: 'film', score: expect.closeTo(film, 6) },
        { label: 'good', score: expect.closeTo(other, 6) },
      ]
      for (const candidate_labels of [['good', 'film'], 'good, film']) {
        expect(await ask('topics', { inputs: 'alpha', parameters: { candidate_labels } })).toEqual({
          status: 200,
          body: expected,
        })
      }
      const multi = await ask('topics', { inputs: ['alpha'], parameters: { candidate_labels: ['film'], multi_label: true } })
      expect(multi).toEqual({ status: 200, body: [[{ label: 'film', score: expect.closeTo(film, 6) }]] })
      for (const parameters of [
        undefined,
        {},
        { candidate_labels: [] },
        { candidate_labels: 'a,,b' },
        { candidate_labels: ['a'], hypothesis_template: 'without a place' },
        { candidate_labels: Array(257).fill('a') },
      ])
        expect([parameters, (await ask('topics', { inputs: 'alpha', parameters })).status]).toEqual([parameters, 400])
      const many = { inputs: Array(1025).fill('a'), parameters: { candidate_labels: ['a', 'b'] } }
      expect(await ask('topics', many)).toMatchObject({ status: 400, body: { error: expect.stringContaining('pairs') } })
    })

    test('a mask is filled with the tokens that fit best', async () => {
      expect(await ask('gaps', { inputs: 'good [MASK]', parameters: { top_k: 2 } })).toMatchObject({
        status: 200,
        body: [
          { token_str: 'film', sequence: 'good film', token: expect.any(Number), score: expect.any(Number) },
          { token_str: 'good', sequence: 'good good' },
        ],
      })
      expect((await ask('gaps', { inputs: 'good' })).status).toBe(400)
    })

    test('failures have one text; a model of tensors is a 424', async () => {
      expect(await ask('mood', { inputs: 1 })).toEqual({ status: 400, body: { error: expect.stringContaining('"inputs"') } })
      expect(await ask('plain', { inputs: 'a' })).toEqual({ status: 424, body: { error: expect.any(String) } })
      expect(await ask('nothing', { inputs: 'a' })).toEqual({ status: 404, body: { error: expect.any(String) } })
    })
  })

  describe(`KServe's first protocol, ${door.name}`, () => {
    test('instances are rows of tensors, and inputs of a task', async () => {
      expect(
        await post('/v1/models/plain:predict', {
          instances: [
            [1, 2],
            [3, 4],
          ],
        }),
      ).toEqual({
        status: 200,
        body: {
          predictions: [
            [1, 2],
            [3, 4],
          ],
        },
      })
      expect(await post('/v1/models/mood:predict', { instances: ['bad'], parameters: { top_k: 1 } })).toEqual({
        status: 200,
        body: { predictions: [[{ label: 'negative', score: sigmoid(2) }]] },
      })
    })

    test('failures have one text', async () => {
      const body = { error: expect.any(String) }
      expect(await post('/v1/models/plain:predict', { instances: 1 })).toEqual({ status: 400, body })
      expect(await post('/v1/models/plain:predict', {})).toEqual({ status: 400, body })
      expect(await post('/v1/models/plain:explain', { instances: [] })).toEqual({ status: 404, body })
      expect(await post('/v1/models/nothing:predict', { instances: [] })).toEqual({ status: 404, body })
      expect(await post('/v1/models/plain:predict', {}, { headers: bearer('model:mood:predict') })).toEqual({ status: 403, body })
    })
  })
}
