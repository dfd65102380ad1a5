import { cpSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { realModel } from '../../test/support/real-models.ts'
import { onnxModel } from '../../test/support/tiny-models.ts'

/** Side of the pictures that the classifier takes, of its patches, and how many values each of these becomes. */
const [SIDE, PATCH, WIDTH, CLASSES] = [224, 16, 256, 10] as const
const ACROSS = SIDE / PATCH
const WORDS =
  'the a river of words goes on and down until it meets another one in the sea where people walk along water with their dogs while they talk about weather food work music and what happened last week'.split(
    ' ',
  )

/** A folder of models: `pictures`, a classifier that is made here, and `minilm` where `VESTAL_TEST_REAL_MODELS` has it. */
export async function writeTaskModels(): Promise<{ readonly folder: string; readonly hasTexts: boolean }> {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-bench-tasks-'))
  await Bun.write(join(folder, 'pictures/1/model.onnx'), classifier())
  const labels = Array.from({ length: CLASSES }, (_, index) => `"class-${index}"`)
  const image = `[image]\nresize = "warp"\nsize = ${SIDE}\nfilter = "bilinear"\nmean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]`
  const scores = `[scores]\nlabels = [${labels.join(', ')}]\nactivation = "softmax"`
  await Bun.write(join(folder, 'pictures/model.toml'), `task = "image-classify"\n\n${image}\n\n${scores}\n`)
  const minilm = realModel('minilm')
  if (minilm !== undefined) cpSync(minilm, join(folder, 'minilm'), { recursive: true })
  return { folder, hasTexts: minilm !== undefined }
}

/** Texts of 3 to 200 words, most of them short. */
export function mixedTexts(count: number): readonly string[] {
  const draw = drawFrom(15)
  return Array.from({ length: count }, () => {
    const words = 3 + Math.floor(197 * draw() ** 3)
    return Array.from({ length: words }, () => WORDS[Math.floor(draw() * WORDS.length)]).join(' ')
  })
}

/** JPEGs of 1280×960 with edges, slopes and some noise, as a camera's have. */
export function jpegs(count: number): Promise<readonly Uint8Array<ArrayBuffer>[]> {
  const [width, height] = [1280, 960]
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const draw = drawFrom(index + 1)
      const [near, far, turn] = [30 + 40 * draw(), 200 + 200 * draw(), draw() * 3]
      const pixels = new Uint8Array(width * height * 3)
      for (let at = 0; at < pixels.length; at += 1) {
        const [x, y] = [Math.floor(at / 3) % width, Math.floor(at / 3 / width)]
        const wave = 60 * Math.sin(x / far + turn + (at % 3)) + 40 * Math.sin((y + x * turn) / near)
        const edge = (Math.floor(x / near) + Math.floor(y / far)) % 2 === 0 ? 25 : -25
        pixels[at] = Math.max(0, Math.min(255, 128 + wave + edge + 12 * (draw() - 0.5)))
      }
      const file = await sharp(pixels, { raw: { width, height, channels: 3 } })
        .jpeg({ quality: 90 })
        .toBuffer()
      return new Uint8Array(file)
    }),
  )
}

/** Patches, a dense layer for each, their mean and a dense layer of classes. About 130 million operations a picture. */
function classifier(): Uint8Array {
  const values = 3 * PATCH * PATCH
  const draw = drawFrom(224)
  const weights = (rows: number, columns: number) =>
    new Float32Array(rows * columns).map(() => (draw() - 0.5) * Math.sqrt(12 / rows))
  return onnxModel({
    nodes: [
      { operator: 'Reshape', inputs: ['x', 'cut'], outputs: ['cells'] },
      { operator: 'Transpose', inputs: ['cells'], outputs: ['patches'], perm: [0, 2, 4, 1, 3, 5] },
      { operator: 'Reshape', inputs: ['patches', 'rows'], outputs: ['flat'] },
      { operator: 'MatMul', inputs: ['flat', 'first'], outputs: ['one'] },
      { operator: 'Relu', inputs: ['one'], outputs: ['two'] },
      { operator: 'MatMul', inputs: ['two', 'second'], outputs: ['three'] },
      { operator: 'Relu', inputs: ['three'], outputs: ['four'] },
      { operator: 'Transpose', inputs: ['four'], outputs: ['five'], perm: [0, 2, 1] },
      { operator: 'GlobalAveragePool', inputs: ['five'], outputs: ['means'] },
      { operator: 'Flatten', inputs: ['means'], outputs: ['vector'], axis: 1 },
      { operator: 'MatMul', inputs: ['vector', 'third'], outputs: ['scores'] },
    ],
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 3, SIDE, SIDE] }],
    outputs: [{ name: 'scores', datatype: 'FP32', shape: ['n', CLASSES] }],
    constants: [
      { name: 'cut', shape: [6], values: BigInt64Array.from([-1, 3, ACROSS, PATCH, ACROSS, PATCH].map(BigInt)) },
      { name: 'rows', shape: [3], values: BigInt64Array.from([-1, ACROSS * ACROSS, values].map(BigInt)) },
      { name: 'first', shape: [values, WIDTH], values: weights(values, WIDTH) },
      { name: 'second', shape: [WIDTH, WIDTH], values: weights(WIDTH, WIDTH) },
      { name: 'third', shape: [WIDTH, CLASSES], values: weights(WIDTH, CLASSES) },
    ],
  })
}

/** The same numbers from 0 to 1 in each run: every contestant gets the same texts and pictures. */
function drawFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
