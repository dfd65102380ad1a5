import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import type { TaskDescription } from '../../src/tasks/task.ts'
import { answerOf, DOORS } from '../support/doors.ts'
import { boxModel, channelModel, channelTask, colourModel, colourTask, SMALL } from '../support/picture-models.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { withTasks } from '../support/text-models.ts'
import { bearer } from '../support/tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-pictures-'))
/** Places and scores of two classes, in an input of 8×8: two that overlap, one of the other class over them, one apart, and one that is too weak. */
const BOXES = [
  [2, 2, 4, 4, 0.9, 0.1],
  [2.2, 2, 4, 4, 0.8, 0.1],
  [2, 2.2, 4, 4, 0.1, 0.7],
  [6, 6, 2, 2, 0.1, 0.6],
  [4, 4, 8, 8, 0.2, 0.1],
]
const files: Readonly<Record<string, Uint8Array>> = {
  colours: colourModel(),
  areas: channelModel(),
  things: boxModel(BOXES, 8),
  tensors: colourModel(),
}
for (const [name, bytes] of Object.entries(files)) await Bun.write(join(folder, name, '1/model.onnx'), bytes)
const things: TaskDescription = {
  task: 'detect',
  sources: {},
  image: { ...SMALL, steps: [{ kind: 'letterbox', width: 8, height: 8, filter: 'bilinear', fill: 114, place: 'center' }] },
  boxes: {
    form: 'yolo',
    output: 'boxes',
    labels: ['cat', 'dog'],
    threshold: 0.25,
    overlapMax: 0.45,
    isAcrossClasses: false,
  },
}
const inner = await bundledEngine(folder)
const engine = withTasks(inner, { colours: colourTask, areas: channelTask, things })
// The limit of texts of a started server, which pictures do not have.
const server = createServer(engine, { taskLimits: { itemsMax: 2048 } })
afterAll(async () => {
  await inner.stop()
  rmSync(folder, { recursive: true })
})

const ALL = bearer('*')
const solid = (r: number, g: number, b: number, width = 20, height = 10) =>
  sharp({ create: { width, height, channels: 3, background: { r, g, b } } })
const red = new Uint8Array(await solid(255, 0, 0).png().toBuffer())
const green = new Uint8Array(await solid(0, 255, 0).jpeg({ quality: 100 }).toBuffer())
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
/** The label that is best. */
const best = (labels: unknown) => (labels as readonly { readonly label: string }[])[0]?.label

for (const open of DOORS) {
  const door = open(server)
  afterAll(() => door.close())
  const send = (name: string, body: string | Uint8Array<ArrayBuffer> | FormData, type?: string) =>
    answerOf(
      door.fetch(`/models/${name}/predict/`, {
        method: 'POST',
        headers: { ...ALL, ...(type !== undefined && { 'content-type': type }) },
        body,
      }),
    )
  const sendJson = (name: string, body: unknown) => send(name, JSON.stringify(body), 'application/json')
  const outputOf = async (answer: ReturnType<typeof send>) => {
    const { status, body } = await answer
    expect([status, body]).toEqual([200, expect.anything()])
    return (body as { readonly output: unknown }).output
  }
  const infer = (inputs: readonly unknown[], binary = new Uint8Array(0)) => {
    const json = Buffer.from(JSON.stringify({ inputs }))
    const headers = { ...ALL, ...(binary.length > 0 && { 'inference-header-content-length': String(json.length) }) }
    return answerOf(door.fetch('/v2/models/colours/infer', { method: 'POST', headers, body: Buffer.concat([json, binary]) }))
  }

  describe(`${door.name}: a picture comes`, () => {
    const labels = [
      { label: 'red', score: 1 },
      { label: 'green', score: 0 },
      { label: 'blue', score: 0 },
    ]

    test('as it is, whatever its media type says of it', async () => {
      for (const type of ['image/png', 'image/jpeg', 'application/octet-stream', 'application/x-www-form-urlencoded', undefined])
        expect(await outputOf(send('colours', red, type))).toEqual(labels)
    })

    test('as the file of a form, with parameters', async () => {
      const form = new FormData()
      form.append('file', new Blob([red], { type: 'image/png' }), 'red.png')
      form.append('parameters', '{"top_k": 1}')
      expect(await outputOf(send('colours', form))).toEqual(labels.slice(0, 1))
      form.append('file', new Blob([green]), 'green.jpg')
      expect(((await outputOf(send('colours', form))) as readonly unknown[]).map(best)).toEqual(['red', 'green'])
    })

    test('in base64 or a data URI in JSON, alone or with others', async () => {
      expect(await outputOf(sendJson('colours', { input: base64(red) }))).toEqual(labels)
      expect(await outputOf(sendJson('colours', { inputs: `data:image/png;base64,${base64(red)}` }))).toEqual(labels)
      const several = await outputOf(
        sendJson('colours', { input: [base64(green), base64(red)], parameters: { function_to_apply: 'softmax', top_k: 1 } }),
      )
      expect((several as readonly unknown[]).map(best)).toEqual(['green', 'red'])
    })

    test('as BYTES on the image input, in base64 and in binary, beside the tensor that metadata shows', async () => {
      const two = { name: 'x', datatype: 'BYTES', shape: [2] }
      const expected = [1, 0, 0, 0, expect.any(Number), 0]
      const isRight = ({ status, body }: { readonly status: number; readonly body: unknown }) => {
        expect([status, body]).toMatchObject([200, { outputs: [{ name: 'scores', shape: [2, 3] }] }])
        const [output] = (body as { readonly outputs: readonly { readonly data: readonly number[] }[] }).outputs
        expect(output?.data.map(Math.round)).toEqual(expected)
      }
      isRight(await infer([{ ...two, data: [base64(red), base64(green)] }]))
      const elements = [red, green].flatMap((bytes) => [Buffer.from(Uint32Array.of(bytes.length).buffer), bytes])
      const binary = new Uint8Array(Buffer.concat(elements))
      isRight(await infer([{ ...two, parameters: { binary_data_size: binary.length } }], binary))
      const tensor = { name: 'x', datatype: 'FP32', shape: [2, 3, 1, 1], data: [1, 0, 0, 0, 1, 0] }
      isRight(await infer([tensor]))
      const metadata = await answerOf(door.fetch('/v2/models/colours', { headers: ALL }))
      expect(metadata.body).toMatchObject({ inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 3, -1, -1] }] })
    })
  })

  test(`${door.name}: on the path of Hugging Face's clients, raw and in base64`, async () => {
    const post = (body: string | Uint8Array<ArrayBuffer>, type: string) =>
      answerOf(door.fetch('/models/colours/', { method: 'POST', headers: { ...ALL, 'content-type': type }, body }))
    const label = [{ label: 'red', score: 1 }]
    expect(await post(red, 'image/png')).toMatchObject({ status: 200, body: [...label, { label: 'green' }, { label: 'blue' }] })
    const body = JSON.stringify({ inputs: base64(red), parameters: { top_k: 1 }, options: { wait_for_model: true } })
    expect(await post(body, 'application/json')).toEqual({ status: 200, body: label })
    expect(await post('{"inputs": "http://127.0.0.1/"}', 'application/json')).toMatchObject({
      status: 400,
      body: { error: expect.any(String) },
    })
  })

  test(`${door.name}: in instances of KServe v1, in base64 with and without the object around it`, async () => {
    const instances = [{ b64: base64(red) }, base64(green)]
    const body = JSON.stringify({ instances, parameters: { top_k: 1, function_to_apply: 'softmax' } })
    const { status, body: answer } = await answerOf(
      door.fetch('/v1/models/colours:predict', { method: 'POST', headers: ALL, body }),
    )
    expect([status, (answer as { readonly predictions: readonly unknown[] }).predictions.map(best)]).toEqual([
      200,
      ['red', 'green'],
    ])
    const wrong = JSON.stringify({ instances: [{ b64: 1 }] })
    const rejected = await answerOf(door.fetch('/v1/models/colours:predict', { method: 'POST', headers: ALL, body: wrong }))
    expect(rejected).toEqual({ status: 400, body: { error: expect.any(String) } })
  })

  describe(`${door.name}: a picture is rejected`, () => {
    const rejects = async (answer: ReturnType<typeof send>, status: number, detail: unknown) => {
      const got = await answer
      expect([got.status, (got.body as { readonly detail: unknown }).detail]).toEqual([status, detail])
    }

    test('where it is an address: no URL is fetched', async () => {
      const detail = { input: expect.stringContaining('fetches no URL') }
      for (const url of ['http://127.0.0.1/a.png', 'https://example.com/a.png', '//example.com/a.png', 'file:///etc/passwd'])
        await rejects(sendJson('colours', { input: url }), 400, detail)
    })

    test('where it is no picture, naming which', async () => {
      const page = new TextEncoder().encode('<html><body>Sign in</body></html>')
      await rejects(send('colours', page, 'image/png'), 400, expect.stringMatching(/^The picture is in no format/))
      await rejects(
        sendJson('colours', { input: [base64(red), base64(page)] }),
        400,
        expect.stringMatching(/^Picture 2 of 2 is in no format/),
      )
      await rejects(send('colours', red.subarray(0, red.length - 30), 'image/png'), 400, 'The picture is damaged or cut off')
      await rejects(send('colours', new Uint8Array(0), 'image/png'), 400, 'The picture has no bytes')
    })

    test('where the time of its request is over before its turn, without decoding it', async () => {
      const page = new TextEncoder().encode('<html></html>')
      const headers = { ...ALL, 'content-type': 'image/png', 'vestal-timeout-ms': '0.001' }
      const answer = await answerOf(door.fetch('/models/colours/predict/', { method: 'POST', headers, body: page }))
      expect(answer).toMatchObject({ status: 503, body: { detail: 'Request timeout expired' } })
    })

    test('where the body is not what such bodies are', async () => {
      await rejects(sendJson('colours', { input: 'not base64!' }), 400, { input: expect.stringContaining('base64') })
      await rejects(sendJson('colours', { input: [1] }), 400, { 'input[0]': expect.stringContaining('base64') })
      await rejects(sendJson('colours', {}), 400, { input: 'is missing' })
      await rejects(sendJson('colours', { input: base64(red), other: 1 }), 400, { other: 'is not a field of this body' })
      await rejects(sendJson('colours', { input: base64(red), parameters: { topk: 1 } }), 400, {
        'parameters.topk': expect.any(String),
      })
      await rejects(send('colours', '--a--', 'multipart/form-data'), 400, { body: expect.stringContaining('boundary') })
      const form = new FormData()
      form.append('other', 'x')
      await rejects(send('colours', form), 400, { file: 'is missing' })
      const many = new FormData()
      for (let index = 0; index < 70; index += 1) many.append('file', new Blob([red]))
      await rejects(send('colours', many), 400, { body: expect.stringContaining('64 parts') })
    })

    test('where there are more than a request may have', async () => {
      await rejects(
        sendJson('colours', { input: Array.from({ length: 17 }, () => base64(red)) }),
        413,
        expect.stringContaining('17 pictures; the most is 16'),
      )
    })

    test('as BYTES that do not add up, and where the model takes tensors only', async () => {
      const input = { name: 'x', datatype: 'BYTES', shape: [1] }
      const cases = [
        infer([{ ...input, data: [] }]),
        infer([{ ...input, shape: [1, 3], data: [base64(red)] }]),
        infer([{ ...input, data: ['*'] }]),
        infer([{ ...input, parameters: { binary_data_size: 8 } }], Uint8Array.of(9, 0, 0, 0, 1, 2, 3, 4)),
        infer([{ ...input, parameters: { binary_data_size: 80 } }], Uint8Array.of(1, 0, 0, 0, 1)),
      ]
      for (const answer of cases) expect(await answer).toMatchObject({ status: 400 })
      const request = { method: 'POST', headers: ALL, body: JSON.stringify({ inputs: [{ ...input, data: [base64(red)] }] }) }
      expect(await answerOf(door.fetch('/v2/models/tensors/infer', request))).toMatchObject({ status: 400 })
    })
  })

  test(`${door.name}: boxes are in pixels of the picture, without those that a better one covers`, async () => {
    // 80×40 in 8×8: a tenth, with a border of 2 above.
    const picture = new Uint8Array(await solid(9, 9, 9, 80, 40).png().toBuffer())
    const cat = { label: 'cat', score: 0.9, box: { xmin: 0, ymin: 0, xmax: 40, ymax: 20 } }
    const dog = { label: 'dog', score: 0.7, box: { xmin: 0, ymin: 0, xmax: 40, ymax: 22 } }
    const other = { label: 'dog', score: 0.6, box: { xmin: 50, ymin: 30, xmax: 70, ymax: 40 } }
    expect(await outputOf(send('things', picture))).toEqual([cat, dog, other])
    const parameters = { threshold: 0.65 }
    expect(await outputOf(sendJson('things', { input: base64(picture), parameters }))).toEqual([cat, dog])
    const all = await outputOf(sendJson('things', { input: base64(picture), parameters: { overlap_max: 1, threshold: 0 } }))
    expect(all).toHaveLength(BOXES.length)
  })

  test(`${door.name}: others are answered while sixteen pictures are worked on`, async () => {
    const large = new Uint8Array(await solid(200, 10, 10, 1280, 960).jpeg().toBuffer())
    let isDone = false
    const pictures = Promise.all(Array.from({ length: 16 }, () => send('colours', large))).finally(() => {
      isDone = true
    })
    let answers = 0
    for (; !isDone; answers += 1) {
      const [live, tensors] = await Promise.all([
        answerOf(door.fetch('/v2/health/live')),
        infer([{ name: 'x', datatype: 'FP32', shape: [1, 3, 1, 1], data: [1, 0, 0] }]),
      ])
      expect([live.status, tensors.status]).toEqual([200, 200])
    }
    expect(answers).toBeGreaterThan(4)
    for (const answer of await pictures) expect(best((answer.body as { readonly output: unknown }).output)).toBe('red')
  })

  test(`${door.name}: more pictures than may be queued are rejected, with when to come again`, async () => {
    const body = JSON.stringify({ input: Array.from({ length: 16 }, () => base64(red)) })
    const request = { method: 'POST', headers: { ...ALL, 'content-type': 'application/json' }, body }
    const answers = await Promise.all(Array.from({ length: 8 }, () => door.fetch('/models/colours/predict/', request)))
    const rejected = answers.filter(({ status }) => status !== 200)
    expect(rejected.length).toBeGreaterThan(0)
    for (const { status, headers } of rejected) expect([status, headers.get('retry-after')]).toEqual([429, '1'])
    await Promise.all(answers.map((answer) => answer.text()))
    expect(best(await outputOf(send('colours', red)))).toBe('red')
  })

  test(`${door.name}: masks are PNGs of grey at the size of the picture`, async () => {
    const left = await solid(255, 0, 0, 40, 60).png().toBuffer()
    const picture = await solid(0, 0, 255, 80, 60)
      .composite([{ input: left, left: 0, top: 0 }])
      .png()
      .toBuffer()
    const segments = (await outputOf(send('areas', new Uint8Array(picture)))) as readonly { label: string; mask: string }[]
    expect(segments.map(({ label }) => label)).toEqual(['red', 'blue'])
    for (const { label, mask } of segments) {
      const image = sharp(Buffer.from(mask, 'base64'))
      expect(await image.metadata()).toMatchObject({ format: 'png', width: 80, height: 60, channels: 1 })
      const data = await image.toColourspace('b-w').raw().toBuffer()
      expect(data.filter((value) => value === 255)).toHaveLength(40 * 60)
      expect(data[30 * 80 + (label === 'red' ? 5 : 75)]).toBe(255)
    }
  })
}
