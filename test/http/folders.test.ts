import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serveRemote } from '../support/remote.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { scoreFolder, sentenceFolder, writeFolder } from '../support/text-folders.ts'
import { bearer } from '../support/tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-http-folders-'))
await writeFolder(join(folder, 'vectors'), sentenceFolder())
await writeFolder(join(folder, 'reviews'), scoreFolder('BertForSequenceClassification', ['bad', 'good']))
await writeFolder(join(folder, 'ranks'), scoreFolder('BertForSequenceClassification', ['score']))
await writeFolder(join(folder, 'places'), scoreFolder('BertForTokenClassification', ['O', 'B-LOC', 'I-LOC']))
await writeFolder(join(folder, 'gaps'), scoreFolder('BertForMaskedLM', []))
await writeFolder(
  join(folder, 'themes'),
  scoreFolder('BertForSequenceClassification', ['contradiction', 'neutral', 'entailment']),
)
await writeFolder(join(folder, 'writes'), { ...sentenceFolder(), 'modules.json': '[]' })
const engine = await bundledEngine(folder)
const app = createServer(engine)
afterAll(async () => {
  await engine.stop()
  rmSync(folder, { recursive: true })
})

async function ask(path: string, init: RequestInit = {}) {
  const response = await app.handle(new Request(`http://localhost${path}`, { headers: bearer('*'), ...init }))
  return { status: response.status, text: await response.text() }
}

describe('a folder of Hugging Face', () => {
  test('is described with its task and where each fact is from, and with no path of this machine', async () => {
    const { text } = await ask('/models/vectors/')
    expect(JSON.parse(text).versions[0]).toMatchObject({
      state: 'ready',
      task: {
        task: 'embedding',
        sources: { task: 'modules.json', pooling: '1_Pooling/config.json' },
        text: { tokensMax: 32, tokenizer: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) } },
        vector: { dimensions: 4 },
      },
    })
    for (const path of ['/models/', '/models/vectors/', '/v2/models/vectors', '/v2/models/vectors/config', '/models/writes/'])
      expect([path, (await ask(path)).text]).not.toEqual([path, expect.stringContaining(folder)])
  })

  test('says its task to clients of the Open Inference Protocol, and shows them its tensors', async () => {
    expect(JSON.parse((await ask('/v2/models/reviews')).text)).toMatchObject({
      parameters: { task: 'classify' },
      inputs: [{ name: 'input_ids', datatype: 'INT64' }, { name: 'attention_mask' }],
    })
    expect(JSON.parse((await ask('/v2/models/reviews/config')).text)).toMatchObject({
      parameters: { task: { string_value: 'classify' } },
    })
  })

  test('answers text, and tensors over the Open Inference Protocol', async () => {
    const { status, text } = await ask('/models/vectors/predict/', { method: 'POST', body: '{"input": "good film"}' })
    expect([status, Object.keys(JSON.parse(text))]).toEqual([200, ['output']])
    const tensor = (name: string, data: readonly number[]) => ({ name, datatype: 'INT64', shape: [1, data.length], data })
    const body = JSON.stringify({ inputs: [tensor('input_ids', [2, 5, 3]), tensor('attention_mask', [1, 1, 1])] })
    const tensors = await ask('/v2/models/vectors/infer', { method: 'POST', body })
    expect(JSON.parse(tensors.text).outputs).toMatchObject([{ name: 'last_hidden_state', shape: [1, 3, 4] }])
  })

  const answers: readonly (readonly [model: string, body: object, answer: unknown])[] = [
    [
      'reviews',
      { input: 'good film' },
      [
        { label: 'good', score: expect.any(Number) },
        { label: 'bad', score: expect.any(Number) },
      ],
    ],
    [
      'ranks',
      { input: { query: 'good', texts: ['film', 'bad film'] } },
      [
        { index: 1, score: expect.any(Number) },
        { index: 0, score: expect.any(Number) },
      ],
    ],
    [
      'places',
      { input: 'paris film' },
      [
        { entity: 'I-LOC', word: 'paris', start: 0, end: 5 },
        { entity: 'I-LOC', word: 'film', start: 6, end: 10 },
      ],
    ],
    ['gaps', { input: 'a [MASK] film' }, [{ token_str: 'paris', sequence: 'a paris film' }]],
    [
      'themes',
      { input: 'good film', parameters: { candidate_labels: ['film', 'paris'] } },
      [{ label: 'paris' }, { label: 'film' }],
    ],
  ]
  for (const [model, body, answer] of answers)
    test(`answers as its task does: ${model}`, async () => {
      const { status, text } = await ask(`/models/${model}/predict/`, { method: 'POST', body: JSON.stringify(body) })
      expect([status, text.slice(0, 200)]).toEqual([200, expect.any(String)])
      const output = JSON.parse(text).output as readonly unknown[]
      expect(output.slice(0, (answer as readonly unknown[]).length)).toMatchObject(answer as object)
    })

  test('has its task in an HTTP process that asks another for its engine, and answers there the same', async () => {
    const { remote, server } = await serveRemote(engine)
    try {
      for (const { name, versions } of engine.models())
        expect([name, remote.engine.model(name)?.versions[0]?.task]).toEqual([name, versions[0]?.task])
      const request = () =>
        new Request('http://localhost/models/vectors/predict/', {
          ...{ method: 'POST', headers: bearer('*'), body: '{"input": ["good film", "bad"]}' },
        })
      const [here, there] = await Promise.all(
        [app, createServer(remote.engine)].map(async (each) => (await each.handle(request())).text()),
      )
      expect(there).toBe(here as string)
    } finally {
      server.stop()
    }
  })

  test('that cannot be computed rightly is unavailable, with the reason', async () => {
    expect(JSON.parse((await ask('/models/writes/')).text).versions[0]).toMatchObject({
      state: 'unavailable',
      reason: expect.stringContaining('which is not computed here'),
    })
    expect((await ask('/models/writes/predict/', { method: 'POST', body: '{"input": "a"}' })).status).toBe(503)
  })
})
