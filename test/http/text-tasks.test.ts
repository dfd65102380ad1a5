import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TaskDescription } from '../../src/tasks/task.ts'
import { answerOf, DOORS, failure } from '../support/doors.ts'
import { openLive } from '../support/live-socket.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { bertTokenizer, idOfToken, sumModel, textInput, tokenModel, withTasks } from '../support/text-models.ts'
import { bearer } from '../support/tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-text-'))
const path = join(folder, 'tokenizer.json')
await Bun.write(path, bertTokenizer())
/** The vector of a token: its id, its id squared, and 1. */
const vectorOf = (id: number) => [id, id * id, 1]
await Bun.write(join(folder, 'models/embedding/1/model.onnx'), tokenModel(vectorOf))
await Bun.write(
  join(folder, 'models/mood/1/model.onnx'),
  sumModel((id) => [id === idOfToken('bad') ? 2 : 0, id === idOfToken('good') ? 2 : 0]),
)
await Bun.write(
  join(folder, 'models/best/1/model.onnx'),
  sumModel((id) => [id === idOfToken('good') ? 1 : 0]),
)
const names = ['O', 'B-PER', 'I-PER', 'B-LOC']
const nameOf = (id: number) =>
  names.map((_, label) => (label === (id === idOfToken('ada') ? 1 : id === idOfToken('paris') ? 3 : 0) ? 9 : 0))
await Bun.write(join(folder, 'models/names/1/model.onnx'), tokenModel(nameOf, 'logits'))
await Bun.write(
  join(folder, 'models/entails/1/model.onnx'),
  sumModel((id) => [0, 0, id === idOfToken('good') || id === idOfToken('film') ? 2 : 0]),
)
await Bun.write(
  join(folder, 'models/masked/1/model.onnx'),
  tokenModel(() => Array.from({ length: 20 }, (_, token) => (token === idOfToken('paris') ? 4 : 0)), 'logits'),
)
await Bun.write(join(folder, 'models/plain/1/model.onnx'), tokenModel(vectorOf))
await Bun.write(join(folder, 'other.json'), bertTokenizer())

const prompts = { query: 'query: ', passage: 'alpha ' }
const embedding: TaskDescription = {
  task: 'embedding',
  sources: {},
  text: await textInput(path, { prompts }),
  vector: {
    output: 'last_hidden_state',
    form: 'tokens',
    pooling: ['mean'],
    includesPrompt: true,
    dense: [],
    isNormalized: false,
    dimensions: 3,
    similarity: 'cosine',
  },
}
const mood: TaskDescription = {
  task: 'classify',
  sources: {},
  text: await textInput(path),
  scores: { output: 'logits', labels: ['negative', 'positive'], activation: 'softmax' },
}
const best: TaskDescription = {
  ...mood,
  task: 'rerank',
  scores: { output: 'logits', labels: ['LABEL_0'], activation: 'sigmoid' },
}
const longer = await textInput(path, { tokensMax: 64 })
const entities: TaskDescription = {
  task: 'tokens',
  sources: {},
  text: longer,
  scores: { output: 'logits', labels: names, activation: 'softmax' },
}
const entails: TaskDescription = {
  task: 'zero-shot',
  sources: {},
  text: longer,
  scores: { output: 'logits', labels: ['contradiction', 'neutral', 'entailment'], activation: 'softmax' },
}
const masked: TaskDescription = {
  task: 'fill',
  sources: {},
  text: longer,
  scores: { output: 'logits', labels: [], activation: 'softmax' },
}
const inner = await bundledEngine(join(folder, 'models'))
const engine = withTasks(inner, { embedding, mood, best, names: entities, entails, masked })
afterAll(async () => {
  await inner.stop()
  rmSync(folder, { recursive: true })
})

const ALL = bearer('*')
const meanOf = (...tokens: readonly string[]) =>
  [0, 1, 2].map((place) =>
    Math.fround(tokens.reduce((sum, token) => sum + (vectorOf(idOfToken(token))[place] ?? 0), 0) / tokens.length),
  )
/** Numbers as FP32: they are written as short as that allows. */
const asFloats = (value: unknown): unknown =>
  Array.isArray(value) ? value.map(asFloats) : typeof value === 'number' ? Math.fround(value) : value

for (const open of DOORS) {
  const door = open(createServer(engine, { bodyBytesMax: 4_000_000 }))
  afterAll(() => door.close())
  const predict = (name: string, body: unknown, headers: Record<string, string> = ALL) =>
    answerOf(door.fetch(`/models/${name}/predict/`, { method: 'POST', headers, body: JSON.stringify(body) }))
  const outputOf = async (name: string, body: unknown) => {
    const { status, body: answer } = await predict(name, body)
    expect([status, answer]).toEqual([200, expect.anything()])
    return asFloats((answer as { readonly output: unknown }).output)
  }

  describe(`a text to an embedding, ${door.name}`, () => {
    test('is answered with its vector, and a list with a list', async () => {
      const [one, other] = [meanOf('[CLS]', 'alpha', 'beta', '[SEP]'), meanOf('[CLS]', 'gamma', '[SEP]')]
      expect(await outputOf('embedding', { input: 'Alpha BETA' })).toEqual(one)
      expect(await outputOf('embedding', { input: ['alpha beta', 'gamma'] })).toEqual([one, other])
      expect(await outputOf('embedding', { input: [] })).toEqual([])
      expect(await outputOf('embedding', { input: '' })).toEqual(meanOf('[CLS]', '[SEP]'))
    })

    test('takes a prompt by its name or as a text, which counts as if it stood in the text', async () => {
      const withPrompt = await outputOf('embedding', { input: 'query: alpha' })
      expect(withPrompt).toEqual(meanOf('[CLS]', 'query', ':', 'alpha', '[SEP]'))
      expect(await outputOf('embedding', { input: 'alpha', parameters: { prompt_name: 'query' } })).toEqual(withPrompt)
      expect(await outputOf('embedding', { input: 'alpha', parameters: { prompt: 'query: ' } })).toEqual(withPrompt)
    })

    test('rejects a long prompt, which would be as many times its length as there are texts', async () => {
      const parameters = { prompt: 'a '.repeat(10_000) }
      expect(await predict('embedding', { input: ['alpha', 'beta'], parameters })).toEqual(
        failure(400, { 'parameters.prompt': 'has 20000 characters; the most is 16384' }),
      )
    })

    test('rejects an unknown prompt with the names that there are', async () => {
      expect(await predict('embedding', { input: 'alpha', parameters: { prompt_name: 'querry' } })).toEqual(
        failure(400, { 'parameters.prompt_name': '"querry" is not known; the model has query, passage; did you mean query?' }),
      )
    })

    test('gives the first dimensions with length 1, and rejects others than there are', async () => {
      const whole = meanOf('[CLS]', 'alpha', '[SEP]')
      const length = Math.hypot(whole[0] ?? 0, whole[1] ?? 0)
      const cut = (await outputOf('embedding', { input: 'alpha', parameters: { dimensions: 2, normalize: true } })) as number[]
      expect(cut.map((value) => value.toFixed(5))).toEqual(whole.slice(0, 2).map((value) => (value / length).toFixed(5)))
      for (const dimensions of [0, 4, 1.5]) {
        const { status } = await predict('embedding', { input: 'alpha', parameters: { dimensions } })
        expect([dimensions, status]).toEqual([dimensions, 400])
      }
      expect(await predict('embedding', { input: 'alpha', parameters: { dimensions: 4 } })).toEqual(
        failure(400, { 'parameters.dimensions': 'must be an integer from 1 to 3, the model’s own' }),
      )
    })

    test('cuts a long text at the end, or at the beginning where that is asked for', async () => {
      const text = `${'alpha '.repeat(20)}beta`
      const alphas = Array.from({ length: 10 }, () => 'alpha')
      expect(await outputOf('embedding', { input: text })).toEqual(meanOf('[CLS]', ...alphas, '[SEP]'))
      const left = await outputOf('embedding', { input: text, parameters: { truncation_side: 'left' } })
      expect(left).toEqual(meanOf('[CLS]', ...alphas.slice(1), 'beta', '[SEP]'))
    })

    test('rejects a long text where it is not to be cut, naming it and both lengths', async () => {
      const body = { input: ['alpha', 'alpha '.repeat(20)], parameters: { truncate: false } }
      expect(await predict('embedding', body)).toEqual(
        failure(400, 'Text 1 has 22 tokens; the model takes 12. Shorten it, or ask for it to be cut with "truncate": true'),
      )
    })

    test('rejects bodies of another form, naming the field', async () => {
      const cases: readonly (readonly [unknown, unknown])[] = [
        [{ input: 5 }, { input: 'must be a text or a list of texts' }],
        [{ input: ['a', 5] }, { input: 'must be a text or a list of texts' }],
        [{ inputs: 'a' }, { inputs: 'is not a field of this body; did you mean input?', input: 'is missing' }],
        [
          { input: 'a', parameters: { promptName: 'q' } },
          expect.objectContaining({ 'parameters.promptName': expect.any(String) }),
        ],
        [{ input: 'a', parameters: { truncation_side: 'up' } }, { 'parameters.truncation_side': 'must be one of left, right' }],
        ['text', { body: expect.any(String) }],
      ]
      for (const [body, detail] of cases) expect(await predict('embedding', body)).toEqual(failure(400, detail))
    })

    test.each(['/models/embedding/predict/', '/models/embedding/'])(
      'says at %s that a text, a form and a picture are no JSON',
      async (path) => {
        const form = new FormData()
        form.set('file', new Blob([new Uint8Array([0x89, 0x50, 0x4e, 0x47])], { type: 'image/png' }))
        for (const body of ['alpha', form, new Uint8Array([0x89, 0x50, 0x4e, 0x47])]) {
          const { status, body: answer } = await answerOf(door.fetch(path, { method: 'POST', headers: ALL, body }))
          expect([status, JSON.stringify(answer)]).toEqual([400, expect.stringContaining('must be JSON, such as {')])
        }
      },
    )

    test('rejects more texts than a request may have before any is computed', async () => {
      expect(await predict('embedding', { input: Array.from({ length: 2049 }, () => 'alpha') })).toEqual(
        failure(413, 'The request has 2049 texts; the most is 2048; send them in several requests'),
      )
    })

    test('asks for the permission of the model', async () => {
      expect((await predict('embedding', { input: 'alpha' }, bearer('model:mood:predict'))).status).toBe(403)
      expect((await predict('embedding', { input: 'alpha' }, bearer('model:embedding:predict'))).status).toBe(200)
    })

    test('still takes tensors by the Open Inference Protocol', async () => {
      const tensor = (name: string) => ({ name, datatype: 'INT64', shape: [1, 1], data: [5] })
      const body = { inputs: ['input_ids', 'attention_mask', 'token_type_ids'].map(tensor) }
      const answer = await answerOf(
        door.fetch('/v2/models/embedding/infer', { method: 'POST', headers: ALL, body: JSON.stringify(body) }),
      )
      expect(answer).toMatchObject({ status: 200, body: { outputs: [{ shape: [1, 1, 3], data: [5, 25, 1] }] } })
    })
  })

  describe(`a text to a classifier, ${door.name}`, () => {
    test('is answered with its labels, best first', async () => {
      const sure = 1 / (1 + Math.exp(-2))
      const output = await outputOf('mood', { input: ['a good film', 'bad'] })
      expect(output).toEqual([
        [
          { label: 'positive', score: expect.closeTo(sure, 6) },
          { label: 'negative', score: expect.closeTo(1 - sure, 6) },
        ],
        [
          { label: 'negative', score: expect.closeTo(sure, 6) },
          { label: 'positive', score: expect.closeTo(1 - sure, 6) },
        ],
      ])
    })

    test('is rejected where it is no text, and where the parameters are those of another task', async () => {
      expect(await predict('mood', { input: { text: 'good', pair: 'bad' } })).toEqual(
        failure(400, { input: 'must be a text, a pair {"text", "text_pair"}, or a list of these' }),
      )
      expect((await predict('mood', { input: 'good', parameters: { dimensions: 2 } })).status).toBe(400)
    })

    test('takes pairs, fewer labels and another activation', async () => {
      const output = await outputOf('mood', {
        input: { text: 'good good', text_pair: 'bad' },
        parameters: { top_k: 1, function_to_apply: 'none' },
      })
      expect(output).toEqual([{ label: 'positive', score: 4 }])
    })
  })

  describe(`a query and texts to a reranker, ${door.name}`, () => {
    const input = { query: 'good film', texts: ['bad', 'good good', 'good'] }

    test('are answered with the places of the texts and their scores, best first', async () => {
      const sigmoid = (value: number) => expect.closeTo(1 / (1 + Math.exp(-value)), 6)
      expect(await outputOf('best', { input })).toEqual([
        { index: 1, score: sigmoid(3) },
        { index: 2, score: sigmoid(2) },
        { index: 0, score: sigmoid(1) },
      ])
    })

    test('are answered with raw scores, fewer and with their texts where that is asked for', async () => {
      const parameters = { raw_scores: true, top_n: 2, return_texts: true }
      expect(await outputOf('best', { input, parameters })).toEqual([
        { index: 1, score: 3, text: 'good good' },
        { index: 2, score: 2, text: 'good' },
      ])
      expect(await outputOf('best', { input: { query: 'good', texts: [] } })).toEqual([])
    })

    test('are rejected without a query', async () => {
      expect(await predict('best', { input: { texts: ['a'] } })).toEqual(
        failure(400, { input: 'must be an object with "query", a text, and "texts", a list of texts' }),
      )
    })
  })

  describe(`a text to a model of tokens, ${door.name}`, () => {
    test('is answered with its entities, whose places count UTF-16 units', async () => {
      const input = '😀 Ada is 😀 Paris.'
      const output = (await outputOf('names', { input, parameters: { aggregation_strategy: 'simple' } })) as readonly object[]
      const score = expect.closeTo(Math.exp(9) / (Math.exp(9) + 3), 5)
      expect(output).toEqual([
        { entity_group: 'PER', score, word: 'Ada', start: 3, end: 6 },
        { entity_group: 'LOC', score, word: 'Paris', start: 13, end: 18 },
      ])
      expect([input.slice(3, 6), input.slice(13, 18)]).toEqual(['Ada', 'Paris'])
      expect(await outputOf('names', { input: [input, ''] })).toEqual([
        [
          { entity: 'B-PER', index: 2, score, word: 'ada', start: 3, end: 6 },
          { entity: 'B-LOC', index: 5, score, word: 'paris', start: 13, end: 18 },
        ],
        [],
      ])
    })

    test('leaves out the labels that the request names, and rejects another strategy', async () => {
      const parameters = { aggregation_strategy: 'first', ignore_labels: ['O', 'PER'] }
      expect(await outputOf('names', { input: 'Ada is Paris', parameters })).toMatchObject([{ word: 'Paris' }])
      expect((await predict('names', { input: 'Ada', parameters: { aggregation_strategy: 'last' } })).status).toBe(400)
    })
  })

  describe(`a text to a model of entailment, ${door.name}`, () => {
    test('is answered with the scores of any labels, in sum 1 or each by itself', async () => {
      const parameters = { candidate_labels: ['bad', 'good film', 'good'], hypothesis_template: 'is {}.' }
      const powers = [Math.exp(0), Math.exp(4), Math.exp(2)]
      const sum = powers.reduce((a, b) => a + b)
      expect(await outputOf('entails', { input: 'alpha', parameters })).toEqual([
        { label: 'good film', score: expect.closeTo(Math.exp(4) / sum, 5) },
        { label: 'good', score: expect.closeTo(Math.exp(2) / sum, 5) },
        { label: 'bad', score: expect.closeTo(1 / sum, 5) },
      ])
      expect(await outputOf('entails', { input: ['alpha'], parameters: { ...parameters, multi_label: true } })).toEqual([
        [
          { label: 'good film', score: expect.closeTo(1 / (1 + Math.exp(-4)), 5) },
          { label: 'good', score: expect.closeTo(1 / (1 + Math.exp(-2)), 5) },
          { label: 'bad', score: expect.closeTo(0.5, 5) },
        ],
      ])
    })

    test('is rejected without labels, or with a template that has no place for one', async () => {
      expect(await predict('entails', { input: 'alpha' })).toEqual(failure(400, { 'parameters.candidate_labels': 'is missing' }))
      const parameters = { candidate_labels: ['good'], hypothesis_template: 'is' }
      expect(await predict('entails', { input: 'alpha', parameters })).toEqual(
        failure(400, { 'parameters.hypothesis_template': 'must have {} where the label stands' }),
      )
    })

    test('is rejected with a long template, which would be as many times its length as there are labels', async () => {
      const parameters = { candidate_labels: ['good', 'bad'], hypothesis_template: `{}${' '.repeat(10_000)}` }
      expect(await predict('entails', { input: 'alpha', parameters })).toEqual(
        failure(400, { 'parameters.hypothesis_template': 'has 10002 characters; the most is 8192' }),
      )
    })

    test('counts as a text for each of its labels', async () => {
      const parameters = { candidate_labels: Array.from({ length: 900 }, () => 'good') }
      expect((await predict('entails', { input: ['a', 'b', 'c'], parameters })).status).toBe(413)
    })
  })

  describe(`a text with a mask, ${door.name}`, () => {
    test('is answered with the likeliest tokens', async () => {
      const score = expect.closeTo(Math.exp(4) / (Math.exp(4) + 19), 5)
      expect(await outputOf('masked', { input: 'ada is [MASK] .', parameters: { top_k: 1 } })).toEqual([
        { score, token: idOfToken('paris'), token_str: 'paris', sequence: 'ada is paris.' },
      ])
      expect(await predict('masked', { input: 'ada' })).toEqual(failure(400, 'Text 0 has no [MASK] to fill'))
    })

    test('has the best of equal tokens in their order, and the rest behind', async () => {
      const found = (await outputOf('masked', { input: '[MASK]', parameters: { top_k: 3 } })) as readonly { token: number }[]
      expect(found.map(({ token }) => token)).toEqual([idOfToken('paris'), 0, 1])
      const all = (await outputOf('masked', { input: '[MASK]', parameters: { top_k: 100 } })) as readonly { token: number }[]
      expect(all.map(({ token }) => token)).toEqual([
        idOfToken('paris'),
        ...Array.from({ length: 20 }, (_, token) => token).filter((token) => token !== idOfToken('paris')),
      ])
    })

    test('is rejected with many masks in sum, each of which is answered with texts', async () => {
      const input = Array.from({ length: 5 }, () => '[MASK]'.repeat(60))
      expect(await predict('masked', { input })).toEqual(
        failure(413, 'The request has 300 masks; the most is 256: send the texts in several requests'),
      )
    })
  })

  describe(`texts one after the other, ${door.name}`, () => {
    test('are rows of a stream: texts, or objects with parameters', async () => {
      const body = ['"good"', '{"input":["bad","good"],"parameters":{"top_k":1}}', '{"input":5}'].join('\n')
      const headers = { ...ALL, 'content-type': 'application/x-ndjson' }
      const answer = await (await door.fetch('/models/mood/stream/', { method: 'POST', headers, body })).text()
      const lines = answer
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
      expect(lines).toMatchObject([
        { row: 0, output: [{ label: 'positive' }, { label: 'negative' }] },
        { row: 1, output: [[{ label: 'negative' }], [{ label: 'positive' }]] },
        { row: 2, status_code: 400 },
      ])
    })

    test('keep the limits of the server, as bodies do', async () => {
      const limited = createServer(engine, { taskLimits: { itemsMax: 2 } })
      const request = new Request('http://localhost/models/mood/stream/', {
        method: 'POST',
        headers: { ...ALL, 'content-type': 'application/x-ndjson' },
        body: '["good","bad"]\n["good","bad","good"]',
      })
      const lines = (await (await limited.handle(request)).text()).trim().split('\n')
      expect(lines.map((line) => JSON.parse(line))).toMatchObject([
        { row: 0, output: [[], []].map(() => expect.anything()) },
        { row: 1, status_code: 413 },
      ])
    })

    if (door.name === 'over a socket')
      test('are messages of a socket', async () => {
        const live = await openLive(`${door.base.replace('http', 'ws')}/models/mood/live`, { headers: ALL })
        const answers = [
          await live.ask('{"input":"good","parameters":{"top_k":1}}'),
          await live.ask('{"input":5}'),
          await live.ask('{"inputs":[]}'),
        ].map((message) => JSON.parse(String(message)))
        live.socket.close()
        expect(answers).toMatchObject([{ output: [{ label: 'positive' }] }, { status_code: 400 }, { status_code: 400 }])
      })
  })

  describe(`many texts, ${door.name}`, () => {
    test('are worked on while health is answered again and again', async () => {
      let isDone = false
      const input = Array.from({ length: 2048 }, (_, index) => `alpha ${'beta '.repeat(index % 9)}`)
      const all = outputOf('embedding', { input }).finally(() => {
        isDone = true
      })
      let answered = 0
      while (!isDone) {
        expect((await door.fetch('/v2/health/live')).status).toBe(200)
        answered += 1
        await new Promise(setImmediate)
      }
      expect(await all).toHaveLength(2048)
      expect(answered).toBeGreaterThan(20)
    })
  })
}

test('texts of more tokens in sum than a request may have are rejected before any is computed', async () => {
  let runs = 0
  const counting = {
    ...engine,
    infer: (...args: Parameters<typeof engine.infer>) => engine.infer(...args).finally(() => (runs += 1)),
  }
  const door = DOORS[0]?.(createServer(counting, { taskLimits: { tokensMax: 9, itemsMax: 5 } })) ?? expect.unreachable()
  const ask = async (input: unknown) =>
    answerOf(door.fetch('/models/mood/predict/', { method: 'POST', headers: ALL, body: JSON.stringify({ input }) }))
  expect(await ask(['good bad', 'good good good good'])).toEqual(
    failure(413, 'The request has more than 9 tokens in sum; the most is that; send the texts in several requests'),
  )
  expect((await ask(['', '', '', '', '', ''])).status).toBe(413)
  expect(runs).toBe(0)
  expect((await ask(['good', 'bad'])).status).toBe(200)
})

test('a tokenizer that was changed after its model was loaded is not used', async () => {
  const changed = { ...mood, text: await textInput(join(folder, 'other.json')) }
  await Bun.write(join(folder, 'other.json'), `${bertTokenizer()} `)
  const door = DOORS[0]?.(createServer(withTasks(inner, { mood: changed })))
  const answer = await door?.fetch('/models/mood/predict/', { method: 'POST', headers: ALL, body: '{"input":"good"}' })
  expect(await answerOf(answer as Response)).toEqual(
    failure(503, 'tokenizer.json is not the file that the model was loaded with; reload the model'),
  )
})
