import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TaskDescription } from '../../src/tasks/task.ts'
import { answerOf, DOORS, failure } from '../support/doors.ts'
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
const inner = await bundledEngine(join(folder, 'models'))
const engine = withTasks(inner, { embedding, mood, best })
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

    test('rejects an unknown prompt with the names that there are', async () => {
      expect(await predict('embedding', { input: 'alpha', parameters: { prompt_name: 'querry' } })).toEqual(
        failure(400, { prompt_name: '"querry" is not known; the model has query, passage; did you mean query?' }),
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
}

test('a tokenizer that was changed after its model was loaded is not used', async () => {
  const changed = { ...mood, text: await textInput(join(folder, 'other.json')) }
  await Bun.write(join(folder, 'other.json'), `${bertTokenizer()} `)
  const door = DOORS[0]?.(createServer(withTasks(inner, { mood: changed })))
  const answer = await door?.fetch('/models/mood/predict/', { method: 'POST', headers: ALL, body: '{"input":"good"}' })
  expect(await answerOf(answer as Response)).toEqual(
    failure(503, 'tokenizer.json is not the file that the model was loaded with; reload the model'),
  )
})
