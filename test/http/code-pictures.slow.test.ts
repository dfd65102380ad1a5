import { afterAll, describe, expect, test } from 'bun:test'
import sharp from 'sharp'
import { modelText, startCodeFolder } from '../support/code-folder.ts'
import { answerOf, DOORS } from '../support/doors.ts'
import { colourModel } from '../support/picture-models.ts'
import { createServer } from '../support/server.ts'
import { bearer } from '../support/tokens.ts'

/** A `model.ts` that takes a picture. */
const pictureText = (...lines: readonly string[]) => modelText(...lines).replace('{ model,', '{ image, model,')
const SIZE = 't.Object({ width: t.Integer(), height: t.Integer(), first: t.Array(t.Integer()) })'
const SIZE_OF = '({ width: p.width, height: p.height, first: [...p.data.subarray(0, 3)] })'
const { engine, stop } = await startCodeFolder({
  'size/model.ts': pictureText(`input: image({ pixelsMax: 1000 }), output: ${SIZE},`, `predict: (p) => ${SIZE_OF},`),
  'turns/model.ts': pictureText(
    `input: image(), output: t.Array(${SIZE}),`,
    `predict: (picture) => [picture.rotate(90), picture.rotate(180), picture.rotate(-90)].map((p) => ${SIZE_OF}),`,
  ),
  'changes/model.ts': pictureText(
    `input: image(), output: t.Array(${SIZE}),`,
    'predict: (picture) => [',
    '  picture.resize({ shortest: 5 }),',
    '  picture.resize({ width: 4, height: 2, filter: "bicubic" }).crop(2),',
    '  picture.extract({ xmin: 9.5, ymin: 3, xmax: 30, ymax: 8 }),',
    '  picture.extract({ left: -3, top: 0, width: 5, height: 2 }),',
    `].map((p) => ${SIZE_OF}),`,
  ),
  'mean/1/model.onnx': colourModel(),
  'mean/model.ts': pictureText(
    'files: { net: "1/model.onnx" }, input: image(), output: t.Array(t.Number()),',
    'before: (picture) => ({ x: picture.resize({ shortest: 8 }).crop(8).tensor({ mean: 0.5, std: [0.5, 0.5, 0.5] }) }),',
    'after: (outputs) => [...Object.values(outputs)[0].row(0)],',
  ),
  'outer/model.ts': pictureText(
    `calls: ["size"], input: image(), output: ${SIZE},`,
    'predict: (picture, { call }) => call("size", picture.extract({ left: 0, top: 0, width: 7, height: 3 })),',
  ),
  'text/model.ts': modelText('input: text(), output: text(), predict: (line) => line,'),
  'wrong-call/model.ts': pictureText(
    'calls: ["text"], input: image(), output: text(), predict: (p, { call }) => call("text", p),',
  ),
  'inner/model.ts': pictureText('input: t.Object({ picture: image() }), output: text(), predict: () => "",'),
  'output/model.ts': pictureText('input: text(), output: image(), predict: () => "",'),
})
afterAll(stop)

const ALL = bearer('*')
/** Left half red, right half blue. */
const halves = async (width = 20, height = 10) => {
  const half = { create: { width: width / 2, height, channels: 3, background: { r: 0, g: 0, b: 255 } } } as const
  const all = sharp({ create: { width, height, channels: 3, background: { r: 255, g: 0, b: 0 } } })
  return new Uint8Array(
    await all
      .composite([{ input: await sharp(half).png().toBuffer(), left: width / 2, top: 0 }])
      .png()
      .toBuffer(),
  )
}
const picture = await halves()
const base64 = Buffer.from(picture).toString('base64')
const json = (body: unknown) => ({
  method: 'POST',
  body: JSON.stringify(body),
  headers: { ...ALL, 'content-type': 'application/json' },
})
const raw = (body: Uint8Array<ArrayBuffer>, type = 'image/png') => ({
  method: 'POST',
  body,
  headers: { ...ALL, 'content-type': type },
})
const RED = { width: 20, height: 10, first: [255, 0, 0] }

for (const open of DOORS) {
  const door = open(createServer(engine))
  afterAll(() => door.close())
  const ask = async (path: string, request: RequestInit): Promise<readonly [number, unknown]> => {
    const { status, body } = await answerOf(door.fetch(path, request))
    return [status, body]
  }

  describe(`pictures of model.ts ${door.name}`, () => {
    test('come as a file, in a form, in base64 and as BYTES of the Open Inference Protocol', async () => {
      const form = new FormData()
      form.append('file', new Blob([picture]), 'a.png')
      const inputs = [{ name: 'input', datatype: 'BYTES', shape: [1], data: [base64] }]
      const requests = [
        raw(picture),
        raw(picture, 'application/octet-stream'),
        json({ input: base64 }),
        json({ input: `data:image/png;base64,${base64}` }),
        { method: 'POST', body: form, headers: ALL },
      ]
      for (const request of requests) expect(await ask('/models/size/predict/', request)).toEqual([200, { output: RED }])
      const [status, body] = await ask('/v2/models/size/infer', json({ inputs }))
      expect([status, JSON.parse((body as { outputs: { data: string[] }[] }).outputs[0]?.data[0] ?? '')]).toEqual([200, RED])
      expect(await ask('/v1/models/size:predict', json({ instances: [{ b64: base64 }] }))).toEqual([200, { predictions: [RED] }])
    })

    test('that are none, several, too large or with other fields are rejected', async () => {
      const large = await halves(40, 30)
      const rejected = [
        [raw(new TextEncoder().encode('<svg xmlns="http://www.w3.org/2000/svg"/>')), 'The picture is in no format'],
        [raw(picture.slice(0, 60)), 'The picture is'],
        [raw(large), 'has 40×30 pixels; the most is 1000 in all'],
        [json({ input: [base64, base64] }), 'one picture in a request'],
        [json({ input: base64, parameters: {} }), 'is not a field'],
        [json({ input: 5 }), 'must be a picture in base64'],
      ] as const
      // Decoded, it is larger than a tensor can be.
      const huge = { create: { width: 6000, height: 5000, channels: 3, background: { r: 9, g: 9, b: 9 } } } as const
      const [tooLarge, answer] = await ask(
        '/models/size/predict/',
        raw(new Uint8Array(await sharp(huge).jpeg().toBuffer()), 'image/jpeg'),
      )
      expect([tooLarge, JSON.stringify(answer)]).toEqual([
        400,
        expect.stringContaining('has 6000×5000 pixels; model.ts takes at most 22 million'),
      ])
      for (const [request, text] of rejected) {
        const [status, body] = await ask('/models/size/predict/', request)
        expect([status, JSON.stringify(body)]).toEqual([400, expect.stringContaining(text)])
      }
    })

    test('are turned, resized and cut', async () => {
      const [status, body] = await ask('/models/turns/predict/', raw(picture))
      expect([status, body]).toEqual([
        200,
        {
          output: [
            { width: 10, height: 20, first: [255, 0, 0] },
            { width: 20, height: 10, first: [0, 0, 255] },
            { width: 10, height: 20, first: [0, 0, 255] },
          ],
        },
      ])
      const [, changed] = await ask('/models/changes/predict/', raw(picture))
      expect(changed).toEqual({
        output: [
          { width: 10, height: 5, first: [255, 0, 0] },
          { width: 2, height: 2, first: expect.any(Array) },
          { width: 11, height: 5, first: [255, 0, 0] },
          { width: 2, height: 2, first: [255, 0, 0] },
        ],
      })
    })

    test('become the tensor of a file', async () => {
      const [status, body] = await ask('/models/mean/predict/', raw(picture))
      expect([status, body]).toEqual([200, { output: [0, -1, 0] }])
    })

    test('are given to another model that takes one, and to no other', async () => {
      expect(await ask('/models/outer/predict/', raw(picture))).toEqual([
        200,
        { output: { width: 7, height: 3, first: [255, 0, 0] } },
      ])
      const [status, body] = await ask('/models/wrong-call/predict/', raw(picture))
      expect([status, JSON.stringify(body)]).toEqual([400, expect.stringContaining("'text' is called with a picture")])
    })
  })
}

test('a picture inside of other values, or as the output, is an error of the definition', () => {
  for (const name of ['inner', 'output'])
    expect(engine.model(name)?.versions[0]?.reason).toContain('has an image() where none can be')
})
