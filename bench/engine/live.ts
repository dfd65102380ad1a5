import { join } from 'node:path'
import { signJwt } from '../../src/jose/sign.ts'
import { type Asked, atMost } from '../harness/asked.ts'
import { figureOf } from '../harness/measure.ts'
import type { Section } from '../harness/report.ts'
import { SECRET } from '../servers/plan.ts'
import { type StartedServer, startUnpinned } from '../servers/start.ts'
import { denseRow } from './dense-model.ts'

const CALLERS = 16
const MEMORY_MB_MAX = 200

/** `/v2/health/live` while every worker computes, and the memory of a server that has done nothing. */
export async function benchLive(folder: string, seconds: number): Promise<{ section: Section; asked: readonly Asked[] }> {
  const script = join(import.meta.dir, '../servers/models.ts')
  const idle = await startUnpinned('bundled', [process.execPath, script])
  const memoryMb = await residentMb(idle)
  await idle.stop()
  const server = await startUnpinned('dense', [process.execPath, script, folder])
  try {
    const quiet = await healthTimes(server, seconds / 3)
    const { times: busy, predictions } = await whileComputing(server, () => healthTimes(server, seconds))
    const row = (name: string, note: string, times: readonly number[]) => ({ name, note, figure: figureOf(times) })
    const p99Ms = quantile(busy, 0.99) / 1e6
    return {
      section: {
        id: 'engine-live',
        title: 'Health while every worker computes',
        text: `\`GET /v2/health/live\`, one connection, one after the other. ${predictions} predictions of the dense model were computed meanwhile, ${CALLERS} at a time.`,
        unit: 'ns a request (median)',
        isLessBetter: true,
        base: 'computing',
        rows: [
          row('computing', `p99 ${p99Ms.toFixed(2)} ms of ${busy.length}`, busy),
          row('quiet', `p99 ${(quantile(quiet, 0.99) / 1e6).toFixed(2)} ms of ${quiet.length}`, quiet),
        ],
      },
      asked: [
        atMost('/v2/health/live p99 while all workers compute', 10, { value: p99Ms, unit: 'ms' }),
        atMost('memory of an idle server with the four bundled models', MEMORY_MB_MAX, { value: memoryMb, unit: 'MB' }),
      ],
    }
  } finally {
    await server.stop()
  }
}

async function healthTimes({ base }: StartedServer, seconds: number): Promise<readonly number[]> {
  const times: number[] = []
  const end = performance.now() + seconds * 1000
  while (performance.now() < end) {
    const begun = Bun.nanoseconds()
    const response = await fetch(`${base}/v2/health/live`)
    await response.arrayBuffer()
    if (response.status !== 200) throw new Error(`health answered ${response.status}`)
    times.push(Bun.nanoseconds() - begun)
  }
  return times
}

/** Keeps callers at the dense model busy while the work goes on. */
async function whileComputing(server: StartedServer, work: () => Promise<readonly number[]>) {
  const { shape, data } = denseRow()
  const body = JSON.stringify({
    inputs: [{ name: 'x', datatype: 'FP32', shape, data: [...data] }],
    outputs: [{ name: 'y', parameters: { binary_data: true } }],
  })
  const permissions = ['model:shared:predict']
  const authorization = `Bearer ${signJwt({ sub: 'bench', data: { permissions } }, SECRET, { lifetimeSeconds: 3600 })}`
  let predictions = 0
  let isOver = false
  const caller = async () => {
    while (!isOver) {
      const response = await fetch(`${server.base}/v2/models/shared/infer`, { method: 'POST', body, headers: { authorization } })
      await response.arrayBuffer()
      if (response.status !== 200) throw new Error(`a prediction answered ${response.status}`)
      predictions += 1
    }
  }
  const callers = Array.from({ length: CALLERS }, caller)
  const times = await work()
  isOver = true
  await Promise.all(callers)
  return { times, predictions }
}

/** Resident memory as the kernel counts it; NaN where it does not say. */
async function residentMb({ pid }: StartedServer): Promise<number> {
  const status = await Bun.file(`/proc/${pid}/status`)
    .text()
    // Another system: it is told as not measured.
    .catch(() => '')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024
}

function quantile(values: readonly number[], part: number): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length * part)] ?? Number.NaN
}
