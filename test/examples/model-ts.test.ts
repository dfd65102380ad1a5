import { afterAll, expect, test } from 'bun:test'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'vestal/testing'
import { createEngine } from '../../src/index.ts'
import { answerOf, failure } from '../support/doors.ts'
import { createServer, MODELS } from '../support/server.ts'
import { bearer } from '../support/tokens.ts'

const EXAMPLE = join(import.meta.dir, '../../examples/model-ts/models')
const SETOSA = { sepal: [5.1, 3.5], petal: [1.4, 0.2] }
const folder = mkdtempSync(join(tmpdir(), 'vestal-examples-'))
for (const name of ['iris', 'reviews']) cpSync(join(MODELS, name), join(folder, name), { recursive: true })
cpSync(EXAMPLE, folder, { recursive: true })
const engine = await createEngine({ modelsDirectory: folder, threads: 1, instances: 1, warn: () => undefined })
const app = createServer(engine)
afterAll(async () => {
  await engine.stop()
  rmSync(folder, { recursive: true })
})

const predict = (name: string, input: unknown, ...permissions: readonly string[]) =>
  answerOf(
    app.handle(
      new Request(`http://localhost/models/${name}/predict/`, {
        method: 'POST',
        body: JSON.stringify({ input }),
        headers: bearer(...permissions),
      }),
    ),
  )

test('the rule around iris advises, is not sure, and refuses', async () => {
  const may = ['model:flower-advice:predict', 'model:iris:predict']
  expect(await predict('flower-advice', SETOSA, ...may)).toEqual({
    status: 200,
    body: { output: { species: 'setosa', advice: 'full sun, and little water' } },
  })
  expect(await predict('flower-advice', { ...SETOSA, petal: [12, 0.2] }, ...may)).toEqual(
    failure(422, 'no iris has petals twice as long as its sepals'),
  )
  expect((await predict('flower-advice', { ...SETOSA, petal: [0, 0.2] }, ...may)).status).toBe(400)
})

test('the chain asks both, for who may ask all of them', async () => {
  const input = { review: 'I would buy it again', ...SETOSA }
  const all = ['flower-shop', 'reviews', 'flower-advice', 'iris'].map((name) => `model:${name}:predict`)
  expect(await predict('flower-shop', input, ...all)).toEqual({
    status: 200,
    body: { output: { reply: 'Thank you! Your setosa likes full sun, and little water.' } },
  })
  for (const missing of all)
    expect((await predict('flower-shop', input, ...all.filter((each) => each !== missing))).status).toBe(403)
})

test('vestal/testing opens a model with fakes for what it calls', async () => {
  const fakes = { reviews: () => [{ label: 'negative' }], 'flower-advice': () => ({ species: 'rose', advice: null }) }
  await using shop = await open(join(EXAMPLE, 'flower-shop'), { fakes })
  expect(await shop.predict({ review: 'dry', ...SETOSA })).toEqual({
    reply: 'We are sorry. Your rose likes what its label says.',
  })
  expect(shop.predict({ review: 5, ...SETOSA })).rejects.toThrow('review: must be a string')
  await using without = await open(join(EXAMPLE, 'flower-shop'))
  expect(without.predict({ review: 'dry', ...SETOSA })).rejects.toThrow("there is no fake for the model 'reviews'")
})

test('vestal/testing encodes texts by the tokenizer of the folder, and says where there is none', async () => {
  // Where imports find `vestal/model`, as a project that has it installed does.
  const own = mkdtempSync(join(import.meta.dir, '../../node_modules/.vestal-testing-'))
  try {
    cpSync(join(import.meta.dir, '../../examples/text-classifier/sentiment'), join(own, 'mood'), { recursive: true })
    await Bun.write(
      join(own, 'mood/model.ts'),
      `import { model, t, text } from 'vestal/model'
export default model({
  input: text(), output: t.Object({ label: t.String(), tokens: t.String() }),
  async predict(line, { tokenizer, run, math, labels }) {
    const inputs = await tokenizer.encode(line)
    const { logits } = await run('model', inputs)
    const { label } = math.best(math.softmax(logits.row(0)), labels)
    return { label, tokens: await tokenizer.decode(inputs.input_ids.row(0)) }
  },
})`,
    )
    await Bun.write(
      join(own, 'none/model.ts'),
      `import { model, t, text } from 'vestal/model'
export default model({ input: text(), output: t.Unknown(), predict: (line, { tokenizer }) => tokenizer.encode(line) })`,
    )
    await using mood = await open(join(own, 'mood'))
    expect(await mood.predict('I love it')).toEqual({ label: 'positive', tokens: expect.stringContaining('love') })
    expect(await mood.predict('It broke on the first day')).toMatchObject({ label: 'negative' })
    await using none = await open(join(own, 'none'))
    expect(none.predict('a')).rejects.toThrow('tokenizer: the model has none')
  } finally {
    rmSync(own, { recursive: true })
  }
})
