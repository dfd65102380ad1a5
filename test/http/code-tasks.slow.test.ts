import { afterAll, describe, expect, test } from 'bun:test'
import sharp from 'sharp'
import { createEngine } from '../../src/index.ts'
import { instanceCommand, type StartInstance, startInstanceProcess } from '../../src/inference/instance/instance-process.ts'
import { codeFolder, modelText, startCodeFolder } from '../support/code-folder.ts'
import { answerOf, DOORS } from '../support/doors.ts'
import { boxModel, colourModel } from '../support/picture-models.ts'
import { createServer } from '../support/server.ts'
import { type ModelFiles, scoreFolder, sentenceFolder } from '../support/text-folders.ts'
import { bearer } from '../support/tokens.ts'

/** Files of a folder of models, those of one model under its name. */
const under = (name: string, files: ModelFiles) =>
  Object.fromEntries(
    Object.entries(files).map(([path, content]): [string, string | Uint8Array] => [
      `${name}/${path}`,
      typeof content === 'string' || content instanceof Uint8Array ? content : JSON.stringify(content),
    ]),
  )
const IMAGE = '[image]\nsize = 8\nmean = [0, 0, 0]\nstd = [1, 1, 1]\nscale = 0.00392156862745098\n'
const asks = (name: string, input: string) =>
  modelText(
    `calls: ["${name}"], input: ${input}, output: t.Unknown(),`,
    `predict: (value, { call }) => call("${name}", value),`,
  ).replace('{ model,', '{ image, model,')
const { engine, warnings, stop } = await startCodeFolder({
  ...under('mood', scoreFolder('BertForSequenceClassification', ['bad', 'good'])),
  ...under('vectors', sentenceFolder()),
  ...under('own-mood', scoreFolder('BertForSequenceClassification', ['bad', 'good'])),
  'own-mood/model.ts': modelText(
    'input: t.Union([t.String(), t.Tuple([t.String(), t.String()])]), output: t.Object({ label: t.String(), score: t.Number() }),',
    'before: (line, { tokenizer }) => tokenizer.encode(line),',
    'after: ({ logits }, { math, labels }) => math.best(math.softmax(logits.row(0)), labels),',
  ),
  ...under('tokens', scoreFolder('BertForSequenceClassification', ['bad', 'good'])),
  'tokens/model.ts': modelText(
    'input: text(), output: t.Object({ names: t.Array(t.String()), count: t.Integer(), texts: t.Array(t.String()) }),',
    'async predict(line, { tokenizer }) {',
    '  const inputs = await tokenizer.encode(line, { truncate: false })',
    '  const ids = inputs.input_ids.row(0)',
    '  const texts = [await tokenizer.decode(ids), await tokenizer.decode(ids, { skipSpecialTokens: false })]',
    '  return { names: Object.keys(inputs).sort(), count: ids.length, texts }',
    '},',
  ),
  'none/model.ts': modelText('input: text(), output: t.Unknown(), predict: (line, { tokenizer }) => tokenizer.encode(line),'),
  'broken/1/model.onnx': colourModel(),
  'broken/tokenizer.json': '{ "model": 5 }',
  'broken/model.ts': modelText('input: text(), output: text(), predict: (line) => line,'),
  'colours/1/model.onnx': colourModel(),
  'colours/model.toml': `task = "image-classify"\n${IMAGE}[scores]\nlabels = ["red", "green", "blue"]\nactivation = "none"\n`,
  'things/1/model.onnx': boxModel([[4, 4, 4, 4, 0.9, 0.1]], 8),
  'things/model.toml': `task = "detect"\n${IMAGE}[boxes]\nform = "yolo"\nlabels = ["cat", "dog"]\n`,
  'ask-mood/model.ts': asks('mood', 't.Unknown()'),
  'ask-vectors/model.ts': asks('vectors', 't.Unknown()'),
  'ask-colours/model.ts': asks('colours', 'image()'),
  'ask-things/model.ts': asks('things', 'image()'),
  'best/model.ts': modelText(
    'calls: ["mood", "vectors", "things", "flat"], input: t.Unknown(), output: t.Unknown(),',
    'predict: ({ model, input, parameters }, { call }) => call(model, input, { parameters }),',
  ),
  'flat/1/model.onnx': colourModel(),
  'first-colour/model.ts': modelText(
    'calls: ["colours"], input: image(), output: t.Unknown(),',
    'predict: (picture, { call }) => call("colours", picture, { parameters: { top_k: 1, function_to_apply: "softmax" } }),',
  ).replace('{ model,', '{ image, model,'),
  'cuts/model.ts': modelText(
    'calls: ["colours"], input: image(), output: t.Array(t.String()),',
    'predict: (picture, { call }) => Promise.all([0, 10].map(async (left) => {',
    '  const [first] = await call("colours", picture.extract({ left, top: 0, width: 10, height: 10 }))',
    '  return first.label',
    '})),',
  ).replace('{ model,', '{ image, model,'),
})
afterAll(stop)

/** An engine whose runs are counted, by the rows that each has. */
async function countedRuns() {
  const rows: number[] = []
  const files = under('mood', scoreFolder('BertForSequenceClassification', ['bad', 'good']))
  const folder = await codeFolder({
    ...files,
    'mood/model.ts': modelText(
      'batch: { rows: 3, delayMs: 10_000 }, input: text(), output: t.Array(t.Number()),',
      'before: (line, { tokenizer }) => tokenizer.encode(line),',
      'after: ({ logits }) => [...logits.row(0)],',
    ),
  })
  const startInstance: StartInstance = (events) => {
    const instance = startInstanceProcess(instanceCommand(), events)
    const run: typeof instance.run = (message) => {
      rows.push(message.inputs[0]?.shape[0] ?? 0)
      instance.run(message)
    }
    return Object.assign(Object.create(instance) as typeof instance, { run })
  }
  const counted = await createEngine({
    modelsDirectory: folder.models,
    threads: 1,
    instances: 1,
    startInstance,
    warn: () => undefined,
  })
  const stop = async () => {
    await counted.stop()
    folder.remove()
  }
  return { engine: counted, rows, stop }
}

const ALL = bearer('*')
const half = { create: { width: 10, height: 10, channels: 3, background: { r: 0, g: 0, b: 255 } } } as const
const all = { create: { width: 20, height: 10, channels: 3, background: { r: 255, g: 0, b: 0 } } } as const
/** Left half red, right half blue. */
const picture = new Uint8Array(
  await sharp(all)
    .composite([{ input: await sharp(half).png().toBuffer(), left: 10, top: 0 }])
    .png()
    .toBuffer(),
)

for (const open of DOORS) {
  const door = open(createServer(engine))
  afterAll(() => door.close())
  const send = (name: string, body: string | Uint8Array<ArrayBuffer>, type: string, headers = ALL) =>
    answerOf(door.fetch(`/models/${name}/predict/`, { method: 'POST', body, headers: { ...headers, 'content-type': type } }))
  const sendText = (name: string, input: unknown, headers = ALL) =>
    send(name, JSON.stringify({ input }), 'application/json', headers)

  describe(`models with a task, called by a model.ts ${door.name}`, () => {
    test.each([
      ['mood', ['good film', 'a very bad film']],
      ['mood', 'good'],
      ['vectors', 'the film'],
      ['vectors', ['the film', 'paris']],
    ])('answer texts as they answer a request: %s', async (name, input) => {
      const own = await sendText(name, input)
      expect(own).toMatchObject({ status: 200 })
      expect(await sendText(`ask-${name}`, input)).toEqual(own)
    })

    test.each(['colours', 'things'])('answer a picture as they answer a request: %s', async (name) => {
      const own = await send(name, picture, 'image/png')
      expect(own).toMatchObject({ status: 200 })
      expect(await send(`ask-${name}`, picture, 'image/png')).toEqual(own)
    })

    test('take the parameters of their task', async () => {
      const best = (model: string, input: unknown, parameters: unknown) => sendText('best', { model, input, parameters })
      const own = await send('mood', '{"input":["good","bad"],"parameters":{"top_k":1}}', 'application/json')
      expect(await best('mood', ['good', 'bad'], { top_k: 1 })).toEqual(own)
      expect((own.body as { output: readonly (readonly unknown[])[] }).output.map(({ length }) => length)).toEqual([1, 1])
      const short = await best('vectors', 'the film', { dimensions: 2 })
      expect((short.body as { output: readonly number[] }).output).toHaveLength(2)
      const form = new FormData()
      form.set('file', new Blob([picture], { type: 'image/png' }))
      form.set('parameters', '{"top_k": 1, "function_to_apply": "softmax"}')
      const asked = await answerOf(door.fetch('/models/colours/predict/', { method: 'POST', body: form, headers: ALL }))
      expect(asked.status).toBe(200)
      expect(await send('first-colour', picture, 'image/png')).toEqual(asked)
    })

    test('reject parameters that their task does not have, or that are no object, and a model without a task all of them', async () => {
      const rejected = async (model: string, parameters: unknown) => {
        const { status, body } = await sendText('best', { model, input: 'good', parameters })
        return [status, JSON.stringify(body)]
      }
      expect(await rejected('mood', { topk: 1 })).toEqual([400, expect.stringContaining('top_k')])
      expect(await rejected('mood', [])).toEqual([400, expect.stringContaining('parameters')])
      expect(await rejected('flat', {})).toEqual([400, expect.stringContaining("'flat' takes none, since it has no task")])
    })

    test('answer parts of a picture', async () => {
      expect(await send('cuts', picture, 'image/png')).toEqual({ status: 200, body: { output: ['red', 'blue'] } })
    })

    test('have their tokens made by the tokenizer of the folder, as the task has', async () => {
      const { body } = await sendText('mood', 'a very good film')
      const [best] = (body as { output: readonly { label: string; score: number }[] }).output
      expect(await sendText('own-mood', 'a very good film')).toEqual({
        status: 200,
        body: { output: { label: best?.label ?? '', score: expect.closeTo(best?.score ?? 0, 5) } },
      })
      expect((await sendText('own-mood', ['good film', 'bad film'])).status).toBe(200)
      expect((await sendText('own-mood', 'very '.repeat(100))).status).toBe(200)
    })

    test('have tokens and their texts; a text that is too long is rejected where it is not cut', async () => {
      expect(await sendText('tokens', 'good film')).toEqual({
        status: 200,
        body: {
          output: {
            names: expect.arrayContaining(['attention_mask', 'input_ids']),
            count: 4,
            texts: ['good film', '[CLS] good film [SEP]'],
          },
        },
      })
      const { status, body } = await sendText('tokens', 'very '.repeat(100))
      expect(status).toBe(400)
      expect(JSON.stringify(body)).toContain('16')
    })

    test('say in the log that a folder has no tokenizer, and before they serve that one cannot be read', async () => {
      expect((await sendText('none', 'good')).status).toBe(500)
      expect(warnings.join()).toContain('there is no tokenizer.json in its folder')
      const { state, reason } = engine.model('broken')?.versions[0] ?? {}
      expect([state, reason]).toEqual(['unavailable', expect.stringContaining('tokenizer')])
    })

    test('reject what they reject of a request, and callers without their permission', async () => {
      const own = await sendText('mood', 5)
      const called = await sendText('ask-mood', 5)
      expect([own.status, called.status]).toEqual([400, 400])
      expect((await sendText('ask-mood', 'good', bearer('model:ask-mood:predict'))).status).toBe(403)
    })
  })
}

test('texts of different lengths that a model.ts encodes share a run, and are answered as each alone', async () => {
  const counted = await countedRuns()
  const door = DOORS[0]?.(createServer(counted.engine)) ?? expect.unreachable()
  const ask = async (input: string) => {
    const response = door.fetch('/models/mood/predict/', { method: 'POST', body: JSON.stringify({ input }), headers: ALL })
    const { status, body } = await answerOf(response)
    expect(status).toBe(200)
    return (body as { output: readonly number[] }).output
  }
  try {
    counted.rows.length = 0
    // A run begins once it has three rows, and would begin with fewer after ten seconds.
    const together = await Promise.all(['good', 'a very bad film', 'the good film'].map(ask))
    expect(counted.rows).toEqual([3])
    expect(await Promise.all(['good', 'good', 'good'].map(ask))).toEqual(Array.from({ length: 3 }, () => together[0] ?? []))
    expect(await Promise.all(['a very bad film', 'a very bad film', 'a very bad film'].map(ask))).toContainEqual(
      together[1] ?? [],
    )
  } finally {
    await door.close()
    await counted.stop()
  }
})
