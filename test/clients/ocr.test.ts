import { afterAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import sharp from 'sharp'
import { createEngine } from '../../src/index.ts'
import { metadataOf } from '../../src/inference/onnx/metadata.ts'
import { codeFolder } from '../support/code-folder.ts'
import { answerOf } from '../support/doors.ts'
import { REAL_MODELS, realModel } from '../support/real-models.ts'
import { createServer } from '../support/server.ts'
import { bearer } from '../support/tokens.ts'
import { hasTool } from '../support/tools.ts'

const ocr = realModel('ocr')

/** Finds lines: the parts of a map of text that hang together, grown as their training shrank them. */
const BOXES = `import { image, model, t } from 'vestal/model'
const whole = (n: number) => Math.max(32, Math.round(n / 32) * 32)
const Box = t.Object({ xmin: t.Number(), ymin: t.Number(), xmax: t.Number(), ymax: t.Number() })
export default model({
  input: image(), output: t.Array(Box),
  async predict(picture, { run }) {
    const scale = Math.min(1, 960 / Math.max(picture.width, picture.height))
    const [width, height] = [whole(picture.width * scale), whole(picture.height * scale)]
    const resized = picture.resize({ width, height })
    const [map] = Object.values(await run('model', { x: resized.tensor({ mean: 0.5, std: 0.5, channels: 'BGR' }) }))
    const values = map!.row(0)
    const seen = new Uint8Array(values.length)
    const boxes = []
    for (let start = 0; start < values.length; start += 1) {
      if (seen[start] === 1 || values[start]! < 0.3) continue
      let [xmin, ymin, xmax, ymax] = [width, height, 0, 0]
      const open = [start]
      seen[start] = 1
      for (let at = open.pop(); at !== undefined; at = open.pop()) {
        const [x, y] = [at % width, Math.floor(at / width)]
        xmin = Math.min(xmin, x); ymin = Math.min(ymin, y); xmax = Math.max(xmax, x + 1); ymax = Math.max(ymax, y + 1)
        for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]] as const) {
          const [nx, ny] = [x + dx, y + dy]
          const next = ny * width + nx
          if (nx >= 0 && nx < width && ny >= 0 && ny < height && seen[next] === 0 && values[next]! >= 0.3) { seen[next] = 1; open.push(next) }
        }
      }
      const [w, h] = [xmax - xmin, ymax - ymin]
      if (Math.min(w, h) < 3) continue
      const grow = (w * h * 1.6) / (2 * (w + h))
      const [sx, sy] = [picture.width / width, picture.height / height]
      boxes.push({ xmin: (xmin - grow) * sx, ymin: (ymin - grow) * sy, xmax: (xmax + grow) * sx, ymax: (ymax + grow) * sy })
    }
    return boxes.sort((a, b) => a.ymin - b.ymin)
  },
})`
const UPRIGHT = `import { image, model, t } from 'vestal/model'
export default model({ input: image(), output: t.Integer(),
  before: (picture) => ({ x: picture.resize({ width: 192, height: 48 }).tensor({ mean: 0.5, std: 0.5, channels: 'BGR' }) }),
  after: (outputs, { math }) => (math.argmax(Object.values(outputs)[0]!.row(0)) === 1 ? 180 : 0),
})`
/** Reads a line: the best character of each step, where it is another than that of the step before. */
const READ_LINE = `import { image, model, t } from 'vestal/model'
import text from './characters.txt' with { type: 'text' }
const characters = ['', ...text.split('\\n'), ' ']
export default model({ input: image(), output: t.String(),
  before: (picture) => ({ x: picture.resize({ width: Math.max(32, Math.round((picture.width * 48) / picture.height)), height: 48 }).tensor({ mean: 0.5, std: 0.5, channels: 'BGR' }) }),
  after(outputs, { math }) {
    const [found] = Object.values(outputs)
    const [, steps, classes] = found!.shape
    const values = found!.row(0)
    let [line, last] = ['', 0]
    for (let step = 0; step < steps!; step += 1) {
      const best = math.argmax(values.subarray(step * classes!, (step + 1) * classes!))
      if (best !== last && best !== 0) line += characters[best] ?? ''
      last = best
    }
    return line
  },
})`
const RECEIPT = `import { image, model, Refusal, t } from 'vestal/model'
export default model({ calls: ['text-boxes', 'upright', 'read-line'], limits: { ms: 8000 }, input: image(), output: t.Array(t.String()),
  async predict(picture, { call }) {
    const boxes = await call('text-boxes', picture)
    if (boxes.length > 500) throw new Refusal('more than 500 lines', { status: 422 })
    return Promise.all(boxes.map(async (box) => {
      const cut = picture.extract(box)
      return call('read-line', (await call('upright', cut)) === 180 ? cut.rotate(180) : cut)
    }))
  },
})`

if (hasTool(REAL_MODELS, ocr)) {
  const model = async (name: string) => new Uint8Array(await Bun.file(join(ocr, `${name}.onnx`)).arrayBuffer())
  const lines = await model('lines')
  const folder = await codeFolder({
    'text-boxes/model.onnx': await model('boxes'),
    'text-boxes/model.ts': BOXES,
    'upright/model.onnx': await model('upright'),
    'upright/model.ts': UPRIGHT,
    'read-line/model.onnx': lines,
    'read-line/characters.txt': metadataOf(lines).get('character') ?? '',
    'read-line/model.ts': READ_LINE,
    'receipt/model.ts': RECEIPT,
  })
  const engine = await createEngine({ modelsDirectory: folder.models, threads: 1, instances: 1, warn: () => undefined })
  const app = createServer(engine)
  afterAll(async () => {
    await engine.stop()
    folder.remove()
  })
  const line = (y: number, words: string) => `<text x="40" y="${y}" font-family="sans-serif" font-size="40">${words}</text>`
  const receipt = sharp(
    Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="200"><rect width="100%" height="100%" fill="white"/>${line(70, 'Milk 1.29')}${line(150, 'Total 4.50 EUR')}</svg>`,
    ),
  )
  const ask = (headers: Record<string, string>, body: Uint8Array<ArrayBuffer>) =>
    answerOf(
      app.handle(
        new Request('http://localhost/models/receipt/predict/', {
          method: 'POST',
          body,
          headers: { ...headers, 'content-type': 'image/png' },
        }),
      ),
    )

  test('code that calls three models in a row reads the lines of a picture, for callers who may ask each', async () => {
    const picture = new Uint8Array(await receipt.png().toBuffer())
    expect(await ask(bearer('model:*:predict'), picture)).toEqual({
      status: 200,
      body: { output: ['Milk 1.29', 'Total 4.50 EUR'] },
    })
    expect((await ask(bearer('model:receipt:predict'), picture)).status).toBe(403)
  }, 60_000)
}
