import { expect, test } from 'bun:test'
import { Workplace } from '../support/command-line.ts'
import { bearer, SECRET } from '../support/tokens.ts'

const isLong = process.env.VESTAL_TEST_LONG !== undefined
/** Seconds of load, and the part by which memory may grow: what is allocated at the begin weighs more in a short run. */
const [SECONDS, GROWTH_MAX] = isLong ? [20 * 60, 0.05] : [10, 0.4]
const PEAK_SECONDS = 2
const LANES = 16
const PART = 0.8

if (!isLong && process.env.VESTAL_TEST_REQUIRED === undefined) console.warn('skipped: steady load, which .ci/run has')
else
  test(
    `${SECONDS} seconds at ${PART * 100} % of the peak fail no request, and memory stays what it was`,
    async () => {
      using place = new Workplace()
      const { base, child } = await place.start(['--access-log', 'off'], { VESTAL_SECRET: SECRET })
      const statuses = new Map<number, number>()
      const predict = { method: 'POST', headers: bearer('*'), body: '{"input":[[5.1,3.5,1.4,0.2]]}' }
      const ask = async () => {
        const response = await fetch(`${base}/models/iris/predict/`, predict)
        await response.arrayBuffer()
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1)
      }
      const memory = async () => {
        const text = await (await fetch(`${base}/metrics`, { headers: bearer('metrics:read') })).text()
        return Number(/^process_resident_memory_bytes (\d+)$/m.exec(text)?.[1])
      }
      const peak = await perSecond(ask)
      const rate = peak * PART
      const samples: number[] = []
      const begun = performance.now()
      let sent = 0
      let sampledMs = begun
      const lane = async () => {
        for (;;) {
          const elapsedMs = performance.now() - begun
          if (elapsedMs > SECONDS * 1000) return
          const dueMs = (sent / rate) * 1000
          if (dueMs > elapsedMs) {
            await Bun.sleep(dueMs - elapsedMs)
            continue
          }
          sent += 1
          await ask()
          if (performance.now() - sampledMs < 500) continue
          sampledMs = performance.now()
          samples.push(await memory())
        }
      }
      await Promise.all(Array.from({ length: LANES }, lane))
      expect([...statuses.keys()]).toEqual([200])
      const part = Math.floor(samples.length / 4)
      const [early, late] = [median(samples.slice(part, 2 * part)), median(samples.slice(-part))]
      const growth = late / early - 1
      console.log(
        `${sent} predictions in ${SECONDS} s, ${Math.round(rate)} a second of a peak of ${Math.round(peak)}; memory ${megabytes(early)} → ${megabytes(late)} MB`,
      )
      expect(growth).toBeLessThan(GROWTH_MAX)
      child.kill('SIGTERM')
      expect(await child.exited).toBe(0)
    },
    (SECONDS + 60) * 1000,
  )

/** Answers a second when each of the lanes asks as soon as it is answered. */
async function perSecond(ask: () => Promise<void>): Promise<number> {
  const begun = performance.now()
  let count = 0
  const lane = async () => {
    while (performance.now() - begun < PEAK_SECONDS * 1000) {
      await ask()
      count += 1
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  return (count / (performance.now() - begun)) * 1000
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6)
}
