import { afterAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import sharp from 'sharp'
import { createMediaPool, type MediaPool, type MediaPoolOptions } from '../../../src/tasks/media/media-pool.ts'
import { SMALL } from '../../support/picture-models.ts'
import { until } from '../../support/until.ts'

const pools: MediaPool[] = []
afterAll(() => {
  for (const pool of pools) pool.close()
})
const FAULTY = [process.execPath, join(import.meta.dir, '../../support/faulty-media.ts')]

function open(options: MediaPoolOptions = {}) {
  const lost: string[] = []
  const pool = createMediaPool({ ...options, lost: (cause) => lost.push(cause) })
  pools.push(pool)
  const decode = (picture: Uint8Array) => pool.run({ kind: 'picture', picture, input: SMALL })
  const ask = (text: string) => decode(new TextEncoder().encode(text))
  /** The text that the faulty process gives. */
  const told = async (text: string) => {
    const answer = await ask(text)
    return answer.kind === 'rejected' ? answer.reason : answer.kind
  }
  return { pool, lost, decode, ask, told }
}

describe('a picture', () => {
  const { decode, lost } = open()
  const noise = async (width: number, height: number) =>
    sharp(crypto.getRandomValues(new Uint8Array(width * height * 3)), { raw: { width, height, channels: 3 } })
  const pngOf = async (width: number, height: number) => new Uint8Array(await (await noise(width, height)).png().toBuffer())
  const rejection = async (picture: Uint8Array) => {
    const answer = await decode(picture)
    return answer.kind === 'rejected' ? answer.reason : answer.kind
  }
  /** A PNG whose header says a size, and whose pixels are a few zeros. */
  const claimed = async (width: number, height: number) => {
    const png = await pngOf(2, 2)
    const view = new DataView(png.buffer)
    view.setUint32(16, width)
    view.setUint32(20, height)
    view.setUint32(29, Bun.hash.crc32(png.subarray(12, 29)))
    return png
  }

  test('that is none, or is cut off or damaged, is rejected in words', async () => {
    const jpeg = new Uint8Array(await (await noise(64, 48)).jpeg().toBuffer())
    const broken = await pngOf(20, 20)
    const middle = broken.length >> 1
    broken[middle] = (broken[middle] ?? 0) ^ 255
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
    expect(await rejection(new Uint8Array(0))).toBe('has no bytes')
    for (const text of [svg, `<?xml version="1.0"?>${svg}`, '<html></html>', '%PDF-1.7', 'push graphic-context', '\0'])
      expect(await rejection(new TextEncoder().encode(text))).toStartWith('is in no format that this server reads')
    expect(await rejection(jpeg.subarray(0, jpeg.length / 2))).toBe('is damaged or cut off')
    expect(await rejection(broken)).toBe('is damaged or cut off')
  })

  test('that would take too much memory or time is rejected by its header', async () => {
    expect(await rejection(await claimed(20_000, 20_000))).toContain('more than 50 million pixels')
    expect(await rejection(await claimed(1, 49_000_000))).toContain('a side may have 65535')
    expect(await rejection(await claimed(4_000_000_000, 4_000_000_000))).not.toBe('picture')
  })

  test('of one pixel, of ten thousand frames or with much EXIF is decoded as any other', async () => {
    expect(await rejection(await pngOf(1, 1))).toBe('picture')
    const frames = Array.from({ length: 10_000 }, (_, index) => Buffer.alloc(4, index % 2 === 0 ? 255 : 0))
    const gif = await sharp(Buffer.concat(frames), { raw: { width: 2, height: 20_000, channels: 1, pageHeight: 2 } })
      .gif()
      .toBuffer()
    expect((await sharp(gif).metadata()).pages).toBe(10_000)
    expect(await decode(new Uint8Array(gif))).toMatchObject({ prepared: { placement: { width: 2, height: 2 } } })
    const large = await (await noise(30, 20))
      .withExif({ IFD0: { Copyright: 'x'.repeat(60_000) } })
      .jpeg()
      .toBuffer()
    expect(await rejection(new Uint8Array(large))).toBe('picture')
  })

  test('is upright, without alpha, and of the colours that are stored', async () => {
    const pixels = Uint8Array.from([255, 0, 0, 0, 0, 255])
    const two = sharp(pixels, { raw: { width: 2, height: 1, channels: 3 } })
    const turned = await two.clone().withMetadata({ orientation: 6 }).png().toBuffer()
    expect(await decode(new Uint8Array(turned))).toMatchObject({ prepared: { placement: { width: 1, height: 2 } } })
    const input = { ...SMALL, steps: [], scale: 1 }
    const valuesOf = async (picture: Uint8Array) => {
      const answer = await pools[0]?.run({ kind: 'picture', picture, input })
      return answer?.kind === 'picture' ? [...(answer.prepared.tensor.data as Float32Array)] : answer
    }
    const alpha = await two.clone().ensureAlpha(0).png().toBuffer()
    expect(await valuesOf(new Uint8Array(alpha))).toEqual([255, 0, 0, 0, 0, 255])
    const grey = await sharp(Uint8Array.from([7]), { raw: { width: 1, height: 1, channels: 1 } })
      .toColourspace('b-w')
      .png()
      .toBuffer()
    expect(await valuesOf(new Uint8Array(grey))).toEqual([7, 7, 7])
    const deep = await sharp(Uint16Array.from([0x8123]), { raw: { width: 1, height: 1, channels: 1 } })
      .toColourspace('grey16')
      .png()
      .toBuffer()
    expect(await valuesOf(new Uint8Array(deep))).toEqual([0x81, 0x81, 0x81])
    const cyan = await sharp(Uint8Array.from([255, 0, 0, 0]), { raw: { width: 1, height: 1, channels: 4 } })
      .toColourspace('cmyk')
      .jpeg()
      .toBuffer()
    expect(await valuesOf(new Uint8Array(cyan))).toHaveLength(3)
  })

  test('never ended a process above', () => expect(lost).toEqual([]))
})

describe('a process that', () => {
  test('crashes costs its caller an error, and nobody else', async () => {
    const { ask, told, lost } = open({ command: FAULTY, processesMax: 1 })
    const crashed = expect(ask('crash')).rejects.toMatchObject({ code: 'MEDIA_UNREADABLE', status: 422 })
    const others = [told('pid'), told('pid')]
    await crashed
    const [first, second] = await Promise.all(others)
    expect(first).toBe(second ?? '')
    expect(lost).toEqual(['SIGSEGV'])
  })

  test('exits, or speaks what is no answer, is replaced, and its caller may try again', async () => {
    const { ask, told } = open({ command: FAULTY, processesMax: 1 })
    const first = await told('pid')
    for (const way of ['exit', 'garbage', 'long', 'outside'])
      await expect(ask(way)).rejects.toMatchObject({ code: 'WORKER_LOST', status: 503 })
    const second = await told('pid')
    expect(second).not.toBe(first)
    expect(await told('twice')).toBe('first')
    await until(() => !isRunning(Number(second)))
    expect(await told('pid')).toMatch(/^\d+$/)
  })

  test('takes too long is killed', async () => {
    const { ask, told, lost } = open({ command: FAULTY, processesMax: 1, jobMsMax: 3000 })
    await told('pid')
    await expect(ask('hang')).rejects.toMatchObject({
      code: 'MEDIA_UNREADABLE',
      detail: 'The picture took more than 3 s',
    })
    expect(lost).toEqual(['time limit'])
    expect(await told('pid')).toMatch(/^\d+$/)
  })

  test('takes too much memory is killed', async () => {
    const { ask, told, lost } = open({ command: FAULTY, processesMax: 1, memoryBytesMax: 400 * 2 ** 20 })
    await expect(ask('take')).rejects.toMatchObject({
      code: 'MEDIA_UNREADABLE',
      detail: 'The picture needs more than 400 MiB of memory',
    })
    expect(lost).toEqual(['memory limit'])
    expect(await told('pid')).toMatch(/^\d+$/)
  })

  test('has nothing to do ends, and starts again', async () => {
    const { told, lost } = open({ command: FAULTY, processesMax: 1, idleMs: 20 })
    const pid = Number(await told('pid'))
    await until(() => !isRunning(pid))
    expect(await told('pid')).not.toBe(String(pid))
    expect(lost).toEqual([])
  })

  test('is given a long picture whole, and nothing of it with the next one', async () => {
    const { told } = open({ command: FAULTY, processesMax: 1 })
    for (const length of [100_000, 5_000_000, 40_000, 20])
      expect(await told('long picture'.padEnd(length, '.'))).toBe(`has ${length} bytes`)
  })

  test('is started with nothing of the server in its environment', async () => {
    const { told } = open({ command: FAULTY, processesMax: 1 })
    const names = (await told('environment')).split(',').filter((name) => name !== 'LD_LIBRARY_PATH')
    expect(names.sort()).toEqual(['MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_'])
  })
})

test('as many jobs run at once as there may be processes, and a closed pool takes none', async () => {
  const { pool, told, ask } = open({ command: FAULTY, processesMax: 2 })
  const pids = await Promise.all(Array.from({ length: 8 }, () => told('pid')))
  expect(new Set(pids).size).toBe(2)
  const pending = [ask('hang'), ask('hang'), ask('waits')].map((each) => each.catch((error) => error.code))
  pool.close()
  expect(await Promise.all(pending)).toEqual(['SERVER_STOPPING', 'SERVER_STOPPING', 'SERVER_STOPPING'])
  expect(ask('pid')).rejects.toMatchObject({ code: 'SERVER_STOPPING' })
  await until(() => pids.every((pid) => !isRunning(Number(pid))))
})

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
