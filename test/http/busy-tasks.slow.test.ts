import { afterAll, expect, test } from 'bun:test'
import sharp from 'sharp'
import { startCodeFolder } from '../support/code-folder.ts'
import { DOORS } from '../support/doors.ts'
import { colourModel } from '../support/picture-models.ts'
import { createServer } from '../support/server.ts'
import { sentenceFolder } from '../support/text-folders.ts'
import { bearer } from '../support/tokens.ts'

const IMAGE = '[image]\nsize = 8\nmean = [0, 0, 0]\nstd = [1, 1, 1]\nscale = 0.00392156862745098\n'
const sentences = Object.entries(sentenceFolder()).map(([path, content]): [string, string | Uint8Array] => [
  `sentences/${path}`,
  typeof content === 'string' || content instanceof Uint8Array ? content : JSON.stringify(content),
])
const { engine, stop } = await startCodeFolder({
  ...Object.fromEntries(sentences),
  'colours/1/model.onnx': colourModel(),
  'colours/model.toml': `task = "image-classify"\n${IMAGE}[scores]\nlabels = ["red", "green", "blue"]\nactivation = "none"\n`,
})
afterAll(stop)

const red = { create: { width: 1280, height: 960, channels: 3, background: { r: 250, g: 3, b: 3 } } } as const
const jpeg = (await sharp(red).jpeg().toBuffer()).toString('base64')
const texts = Array.from({ length: 2048 }, (_, index) => `good ${'film '.repeat(index % 9)}`)

for (const open of DOORS) {
  const door = open(createServer(engine))
  afterAll(() => door.close())
  const predict = async (model: string, input: unknown) => {
    const body = JSON.stringify({ input })
    const response = await door.fetch(`/models/${model}/predict/`, { method: 'POST', headers: bearer('*'), body })
    const { output = [], detail } = (await response.json()) as { output?: readonly unknown[]; detail?: unknown }
    return { status: response.status, count: output.length, detail }
  }

  test(`health is answered while 2 048 texts and 16 pictures are worked on, ${door.name}`, async () => {
    let pending = 2
    const ask = (model: string, input: unknown) => predict(model, input).finally(() => (pending -= 1))
    const all = [
      ask('sentences', texts),
      ask(
        'colours',
        Array.from({ length: 16 }, () => jpeg),
      ),
    ]
    let duringBoth = 0
    while (pending > 0) {
      const [live, ready] = await Promise.all(['live', 'ready'].map((each) => door.fetch(`/v2/health/${each}`)))
      expect([live?.status, ready?.status]).toEqual([200, 200])
      if (pending === 2) duringBoth += 1
      // Health is not to take the processor from what it is asked about.
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    const [vectors, labels] = await Promise.all(all)
    expect(vectors).toEqual({ status: 200, count: 2048, detail: undefined })
    expect(labels).toEqual({ status: 200, count: 16, detail: undefined })
    // In memory an answer takes no way through a socket, and one was there before either work ended.
    expect(duringBoth).toBeGreaterThan(0)
  })
}
