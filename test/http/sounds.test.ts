import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TaskDescription } from '../../src/tasks/task.ts'
import { answerOf } from '../support/doors.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { wavOf } from '../support/sounds.ts'
import { withTasks } from '../support/text-models.ts'
import { onnxModel } from '../support/tiny-models.ts'
import { bearer } from '../support/tokens.ts'

/** The sum of the samples, and the number of them times a thousandth: `input_values` → `logits`. */
const sumModel = onnxModel({
  nodes: [
    { operator: 'ReduceSum', inputs: ['input_values', 'second'], outputs: ['sum'] },
    { operator: 'Mul', inputs: ['input_values', 'zero'], outputs: ['nothing'] },
    { operator: 'Add', inputs: ['nothing', 'thousandth'], outputs: ['thousandths'] },
    { operator: 'ReduceSum', inputs: ['thousandths', 'second'], outputs: ['count'] },
    { operator: 'Concat', inputs: ['sum', 'count'], outputs: ['logits'], axis: 1 },
  ],
  inputs: [{ name: 'input_values', datatype: 'FP32', shape: ['n', 's'] }],
  outputs: [{ name: 'logits', datatype: 'FP32', shape: ['n', 2] }],
  constants: [
    { name: 'second', shape: [1], values: new BigInt64Array([1n]) },
    { name: 'zero', shape: [], values: new Float32Array([0]) },
    { name: 'thousandth', shape: [], values: new Float32Array([0.001]) },
  ],
})
const heard: TaskDescription = {
  task: 'audio-classify',
  sources: {},
  audio: { input: 'input_values', rate: 16_000, secondsMax: 1, isNormalized: false },
  scores: { output: 'logits', labels: ['sum', 'count'], activation: 'none' },
}
const normal: TaskDescription = {
  ...heard,
  audio: { ...(heard.audio as NonNullable<TaskDescription['audio']>), isNormalized: true },
}

const folder = mkdtempSync(join(tmpdir(), 'vestal-sounds-'))
for (const name of ['heard', 'normal', 'tensors']) await Bun.write(join(folder, name, '1/model.onnx'), sumModel)
// As it is downloaded.
await Bun.write(join(folder, 'downloaded/onnx/model.onnx'), sumModel)
await Bun.write(
  join(folder, 'downloaded/config.json'),
  JSON.stringify({
    architectures: ['Wav2Vec2ForSequenceClassification'],
    model_type: 'wav2vec2',
    id2label: { 0: 'up', 1: 'down' },
    label2id: { up: 0, down: 1 },
  }),
)
await Bun.write(
  join(folder, 'downloaded/preprocessor_config.json'),
  JSON.stringify({ feature_extractor_type: 'Wav2Vec2FeatureExtractor', sampling_rate: 8000, do_normalize: true }),
)
const inner = await bundledEngine(folder)
const server = createServer(withTasks(inner, { heard, normal }))
afterAll(async () => {
  await inner.stop()
  rmSync(folder, { recursive: true })
})

const sound = wavOf([0.5, 0.25, 0.25, 0.5])
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
interface Asked {
  readonly body: string | Uint8Array<ArrayBuffer> | FormData
  readonly path?: string
  readonly type?: string
}
const ask = ({ body, path = 'heard/predict/', type }: Asked) =>
  answerOf(
    server.handle(
      new Request(`http://localhost/models/${path}`, {
        method: 'POST',
        headers: { ...bearer('*'), ...(type !== undefined && { 'content-type': type }) },
        body,
      }),
    ),
  )
const askJson = (body: unknown, path?: string) =>
  ask({ body: JSON.stringify(body), type: 'application/json', ...(path !== undefined && { path }) })
const askSound = (body: Uint8Array<ArrayBuffer>, path?: string) =>
  ask({ body, type: 'audio/wav', ...(path !== undefined && { path }) })
/** The score of a label of the one answer. */
const scoreOf = async (answer: ReturnType<typeof ask>, label: string) => {
  // The cast: an answer of another form has no such score.
  const { output } = (await answer).body as { readonly output: typeof SCORES }
  return output.find((each) => each.label === label)?.score
}
const SCORES = [
  { label: 'sum', score: 1.5 },
  { label: 'count', score: 0.004 },
]

describe('a model of sound', () => {
  test('takes a file as it is, in a form, and in base64', async () => {
    expect(await askSound(sound)).toEqual({ status: 200, body: { output: SCORES } })
    const form = new FormData()
    form.append('file', new File([sound], 'a.wav', { type: 'audio/wav' }))
    form.append('parameters', '{"top_k": 1}')
    expect(await ask({ body: form })).toEqual({ status: 200, body: { output: SCORES.slice(0, 1) } })
    for (const input of [base64(sound), `data:audio/wav;base64,${base64(sound)}`])
      expect(await askJson({ input })).toEqual({ status: 200, body: { output: SCORES } })
  })

  test('takes several, each of its own length', async () => {
    const longer = wavOf([0, 0, 0, 0, 0, 0.5])
    const { status, body } = await askJson({
      input: [base64(sound), base64(longer)],
      parameters: { function_to_apply: 'softmax' },
    })
    // The cast: the status says that it is an answer.
    const { output } = body as { readonly output: readonly (typeof SCORES)[] }
    expect([status, output.length]).toEqual([200, 2])
    const [sum, count] = [Math.exp(0.5), Math.exp(0.006)]
    expect(output[1]?.[0]?.score).toBeCloseTo(sum / (sum + count), 6)
  })

  test('answers the clients of Hugging Face on its own path', async () => {
    expect(await askSound(sound, 'heard/')).toEqual({ status: 200, body: SCORES })
    const one = { inputs: base64(sound), parameters: { top_k: 1 } }
    expect(await askJson(one, 'heard/')).toEqual({ status: 200, body: SCORES.slice(0, 1) })
  })

  test('gets its rate, one channel, and samples of mean 0 where it wants them', async () => {
    const stereo = wavOf([0.5, 0.5, 0.5, -0.5, 0.25, 0.25, 0, 0], { channels: 2, rate: 8000 })
    expect(await scoreOf(askSound(stereo), 'count')).toBeCloseTo(0.008, 6)
    expect(await scoreOf(askSound(sound, 'normal/predict/'), 'sum')).toBeCloseTo(0, 5)
    expect(await scoreOf(askSound(sound, 'normal/predict/'), 'count')).toBeCloseTo(0.004, 6)
  })

  test('that was downloaded as a folder says its rate, its normalisation and its labels', async () => {
    // Eight samples of 16 kHz are four of 8 kHz, of mean 0: both scores are near 0, and softmax makes them near a half.
    const ramp = wavOf([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    const { status, body } = await askSound(ramp, 'downloaded/predict/')
    // The cast: the status says that it is an answer.
    const { output } = body as { readonly output: typeof SCORES }
    expect([status, output.map(({ label }) => label).sort()]).toEqual([200, ['down', 'up']])
    const [down, up] = ['down', 'up'].map((label) => output.find((each) => each.label === label)?.score ?? 0) as [number, number]
    expect(Math.log(down / up)).toBeCloseTo(0.004, 4)
  })

  test('counts sounds before it reads any of them', async () => {
    const input = Array.from({ length: 17 }, () => '?')
    expect(await askJson({ input })).toMatchObject({
      status: 413,
      body: { detail: expect.stringMatching(/17 sounds; the most is 16/) },
    })
  })

  test('reads a form by the boundary whose parts it counts', async () => {
    const part = (boundary: string, content: string) =>
      `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n${content}\r\n`
    const body = `${part('one', 'a')}--one--\r\n${part('two', 'b').repeat(100)}--two--\r\n`
    for (const type of ['multipart/form-data; boundary=one; boundary=two', 'multipart/form-data; boundary="one"'])
      expect(await ask({ body, type })).toMatchObject({ status: 400, body: { detail: 'The sound is no WAV file (RIFF, WAVE)' } })
    expect(await ask({ body, type: 'multipart/form-data; boundary=two' })).toMatchObject({ status: 400 })
  })

  test('rejects what is no sound, is too long, or has a wrong parameter', async () => {
    const rejection = (status: number, detail: unknown) => ({ status, body: { status_code: status, detail, error: null } })
    expect(await ask({ body: '<html>', type: 'audio/wav' })).toEqual(rejection(400, 'The sound is no WAV file (RIFF, WAVE)'))
    expect(await askSound(wavOf(new Float32Array(16_001)))).toEqual(
      rejection(400, 'The sound is 1.00 s long; the model takes at most 1 s'),
    )
    expect(await askJson({ input: [base64(sound), base64(new Uint8Array(9))] })).toEqual(
      rejection(400, 'Sound 2 of 2 is no WAV file (RIFF, WAVE)'),
    )
    expect(await askJson({ input: 'http://localhost/a.wav' })).toEqual(
      rejection(400, { input: 'must be the sound itself, in base64: this server fetches no URL' }),
    )
    expect(await askJson({ input: base64(sound), parameters: { top_k: 0 } })).toMatchObject({
      status: 400,
      body: { detail: { 'parameters.top_k': expect.any(String) } },
    })
    expect(await askJson({ input: Array.from({ length: 17 }, () => base64(sound)) })).toMatchObject({ status: 413 })
    expect(await askSound(sound, 'tensors/predict/')).toMatchObject({ status: 400 })
  })
})
