/** Hostile pictures, sent to a started server: each is an error of its caller, and none of its processes keeps memory for them. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import sharp from 'sharp'
import { type StartedServer, Workplace } from '../support/command-line.ts'
import { colourModel } from '../support/picture-models.ts'
import { childrenOf } from '../support/processes.ts'
import { SECRET, tokenWith } from '../support/tokens.ts'
import { hasTool } from '../support/tools.ts'

const MIB = 2 ** 20
const TOML = `task = "image-classify"
[image]
size = 8
mean = [0, 0, 0]
std = [1, 1, 1]
[scores]
labels = ["red", "green", "blue"]
activation = "none"
`

/** A chunk of a PNG: its length, its type, its data and their checksum. */
function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type), data])
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  sum.writeUInt32BE(Bun.hash.crc32(body))
  return Buffer.concat([length, body, sum])
}

/** A PNG of one bit a pixel, all black: few bytes, many pixels. */
function blackPng(width: number, height: number): Uint8Array<ArrayBuffer> {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header[8] = 1
  const rows = deflateSync(Buffer.alloc((Math.ceil(width / 8) + 1) * height), { level: 9 })
  const signature = Uint8Array.fromHex('89504e470d0a1a0a')
  return new Uint8Array(Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))]))
}

const bytesOf = (text: string) => new Uint8Array(new TextEncoder().encode(text))
const noise = {
  create: { width: 800, height: 600, channels: 3, background: '#808080', noise: { type: 'gaussian', mean: 128, sigma: 60 } },
} as const
const jpeg = new Uint8Array(await sharp(noise).jpeg().toBuffer())
const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="30000" height="30000"><rect width="30000" height="30000"/></svg>'
const HOSTILE: Readonly<Record<string, Uint8Array<ArrayBuffer>>> = {
  'a PNG of 400 million pixels': blackPng(20_000, 20_000),
  'a PNG of 256 million pixels': blackPng(16_000, 16_000),
  'a PNG of a side that is too long': blackPng(70_000, 16),
  'an SVG': bytesOf(svg),
  'a JPEG that is cut off': jpeg.slice(0, Math.floor(jpeg.length / 2)),
  'a page': bytesOf(`<!doctype html><title>no picture</title>${'<p>text'.repeat(10_000)}`),
}
const ROUNDS = 6
const AT_ONCE = 8
/** Of all processes together: what garbage, stacks and caches of the allocators come to, and far less than one of these pictures decoded. */
const KEPT_MAX = 96 * MIB
/** The smallest of the bombs is 768 MB as three bytes a pixel, or 244 MiB as one. */
const PEAK_MAX = 128 * MIB

const place = new Workplace()
let server: StartedServer

beforeAll(async () => {
  const models = join(place.folder, 'models')
  await Bun.write(join(models, 'colours/1/model.onnx'), colourModel())
  await Bun.write(join(models, 'colours/model.toml'), TOML)
  server = await place.start([], { VESTAL_SECRET: SECRET, VESTAL_MODELS: models, VESTAL_ACCESS_LOG: 'off' })
}, 60_000)

afterAll(async () => {
  server.child.kill('SIGKILL')
  await server.child.exited
  place[Symbol.dispose]()
})

const headers = { authorization: `Bearer ${tokenWith(['model:*:predict'])}`, 'content-type': 'image/png' }
async function send(body: Uint8Array<ArrayBuffer>): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(`${server.base}/models/colours/predict/`, { method: 'POST', headers, body })
  return { status: response.status, text: await response.text() }
}

/** The server's processes, by id. */
function processes(): readonly number[] {
  const found = [server.child.pid]
  for (const pid of found) found.push(...childrenOf(pid).map((child) => child.pid))
  return found
}

function statusOf(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const path = `/proc/${pid}/status`
  if (!existsSync(path)) return 0
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(path, 'utf8'))?.[1] ?? 0) * 1024
}

const held = () => processes().reduce((sum, pid) => sum + statusOf(pid, 'VmRSS'), 0)

/** The most that each process has held since the last call. */
function peaks(): ReadonlyMap<number, number> {
  return new Map(
    processes().map((pid) => {
      const peak = statusOf(pid, 'VmHWM')
      writeFileSync(`/proc/${pid}/clear_refs`, '5')
      return [pid, peak]
    }),
  )
}

/** Sends each hostile picture so many times, several at once, with a good one between. */
async function round(): Promise<void> {
  for (const [what, body] of Object.entries(HOSTILE)) {
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => send(body)))
    for (const { status, text } of answers) expect([what, status, text]).toEqual([what, 400, expect.stringContaining('picture')])
  }
  expect(await send(jpeg)).toMatchObject({ status: 200 })
}

// The memory of a process is known on Linux only.
if (hasTool('/proc', existsSync('/proc/self/status') ? '/proc' : undefined))
  test(`${ROUNDS} rounds of hostile pictures are errors of their callers, and keep no memory`, async () => {
    await round()
    await round()
    peaks()
    const [before, ids] = [held(), processes()]
    const peakBefore = peaks()
    for (let index = 0; index < ROUNDS; index += 1) await round()
    const after = peaks()
    // The processes are the same: none was lost to a picture, and none was replaced to free what it held.
    expect(processes()).toEqual(expect.arrayContaining([...ids]))
    for (const [pid, peak] of after) expect(peak - (peakBefore.get(pid) ?? 0)).toBeLessThan(PEAK_MAX)
    expect(held() - before).toBeLessThan(KEPT_MAX)
  }, 120_000)
