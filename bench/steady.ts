import { ALL_CORES } from './harness/cores.ts'
import { describeMachine, warnWhereBusy } from './harness/machine.ts'
import { figureOf } from './harness/measure.ts'
import { reportTable, reportTargets } from './harness/report.ts'
import { putConstantRate, putLoad } from './load/load.ts'
import { bearer, startAsUser, userPlace } from './servers/as-users.ts'
import { familyMemoryBytes } from './servers/start.ts'
import { BODY } from './serving-servers/digits.ts'

export interface SteadySizes {
  readonly minutes: number
  /** Seconds of a stretch of load, after which the memory is read. */
  readonly seconds: number
}

const CONNECTIONS = 64
const PART_OF_PEAK = 0.8
/** More than this the generator of constant rates does not send on time. */
const RATE_MAX = 20_000
const MIB = 2 ** 20
/** Lines of the table. */
const LINES = 10

/** `bun run bench steady`: memory of all processes over minutes at 80 % of the peak, constant rate. */
export async function benchSteady({ minutes, seconds }: SteadySizes, isKept: boolean): Promise<void> {
  warnWhereBusy()
  const occasion = { machine: `${describeMachine()}; ${ALL_CORES}`, isKept }
  using place = await userPlace()
  const server = await startAsUser('vestal start', place)
  try {
    const headers = { 'content-type': 'application/json', authorization: bearer() }
    const target = { url: `${server.base}/v2/models/digits/infer`, method: 'POST', headers, body: BODY } as const
    const load = { seconds, connections: CONNECTIONS, isPinned: false }
    const { requestsPerSecond: peak } = await putLoad(target, { ...load, seconds: Math.min(5, seconds) })
    const rate = Math.min(RATE_MAX, Math.floor(PART_OF_PEAK * peak))
    const samples: { readonly minute: number; readonly bytes: number; readonly p99Ms: number; readonly failures: number }[] = []
    const begun = performance.now()
    const minutesSoFar = () => (performance.now() - begun) / 60_000
    while (minutesSoFar() < minutes) {
      const { p99Ms, failures } = await putConstantRate(target, { ...load, requestsPerSecond: rate })
      samples.push({ minute: minutesSoFar(), bytes: familyMemoryBytes(server.pid), p99Ms, failures })
      const [last] = samples.slice(-1)
      console.log(
        `${last?.minute.toFixed(1)} minutes: ${((last?.bytes ?? 0) / MIB).toFixed(0)} MiB, p99 ${p99Ms.toFixed(1)} ms, ${failures} failures`,
      )
    }
    const every = Math.max(1, Math.ceil(samples.length / LINES))
    const rows = samples
      .filter((_, index) => (index + 1) % every === 0)
      .map(({ minute, bytes, p99Ms, failures }) => [
        minute.toFixed(1),
        (bytes / MIB).toFixed(0),
        p99Ms.toFixed(2),
        String(failures),
      ])
    const text = `\`bun run start\`, one row of digits on ${CONNECTIONS} connections, ${rate} requests a second (${PART_OF_PEAK * 100} % of the peak, at most ${RATE_MAX}) for ${minutes} minutes; resident memory of all its processes.`
    const head = ['minutes', 'MiB', 'p99 ms', 'failures']
    reportTable({ id: 'steady', title: 'Memory under steady load', text, head, rows }, occasion)
    const change = growth(samples.map(({ bytes }) => bytes))
    console.log(`the last fifth holds ${change.toFixed(3)} × the memory of the second`)
    // Less than the 20 minutes that are asked shows nothing.
    if (minutes >= 20) reportTargets(new Map([['steady-memory', { median: change, spread: Number.NaN }]] as const), occasion)
  } finally {
    await server.stop()
  }
}

/** The last fifth of samples beside the second one: in the first, caches fill and code is compiled. */
export function growth(samples: readonly number[]): number {
  const fifth = Math.max(1, Math.floor(samples.length / 5))
  return figureOf(samples.slice(-fifth)).median / figureOf(samples.slice(fifth, 2 * fifth)).median
}
