import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { signJwt } from '../../src/index.ts'
import { Workplace } from '../support/command-line.ts'
import { SECRET } from '../support/tokens.ts'

/** By hand: `VESTAL_TEST_LONG=1 bun run test:all test/faults/many-connections.test.ts` opens 10 000 and 1 000, and prints what that does to others. */
const IS_LONG = process.env.VESTAL_TEST_LONG === '1'
const IDLE = IS_LONG ? 10_000 : 300
const SLOW = IS_LONG ? 1000 : 50
const REQUESTS = IS_LONG ? 4000 : 50

const token = signJwt({ sub: 'me', data: { permissions: ['*'] } }, SECRET)
const BODY = '{"input":{"X":[[5.1,3.5,1.4,0.2]]}}'

interface Measured {
  readonly statuses: ReadonlySet<number>
  readonly p50: number
  readonly p99: number
}

/** A good client: one request after the other. */
async function ask(base: string): Promise<Measured> {
  const durations: number[] = []
  const statuses = new Set<number>()
  for (let count = 0; count < REQUESTS; count += 1) {
    const begun = performance.now()
    const init = { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: BODY }
    const response = await fetch(`${base}/models/iris/predict/`, init)
    await response.arrayBuffer()
    statuses.add(response.status)
    durations.push(performance.now() - begun)
  }
  durations.sort((left, right) => left - right)
  const at = (share: number) => durations[Math.floor(durations.length * share)] ?? 0
  return { statuses, p50: at(0.5), p99: at(0.99) }
}

/** Resident memory in MiB, where Linux tells. */
function memoryOf(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}

describe(`with ${IDLE} idle and ${SLOW} slow connections`, () => {
  test(
    'a good client is answered, and the server is as it was once they are gone',
    async () => {
      using place = new Workplace()
      const { base, child } = await place.start([], { VESTAL_SECRET: SECRET, NODE_ENV: 'production', VESTAL_ACCESS_LOG: 'off' })
      await ask(base)
      const before = await ask(base)
      const memoryBefore = memoryOf(child.pid)
      const flood = Bun.spawn(
        [process.execPath, join(import.meta.dir, '../support/flood.ts'), new URL(base).port, String(IDLE), String(SLOW), token],
        { stdin: 'pipe', stdout: 'pipe', env: { PATH: process.env.PATH ?? '' } },
      )
      const reader = flood.stdout.getReader()
      const said = async () => new TextDecoder().decode((await reader.read()).value)
      const open = await said()
      const during = await ask(base)
      const memoryDuring = memoryOf(child.pid)
      flood.stdin.end()
      const left = await said()
      await flood.exited
      const after = await ask(base)
      for (const { statuses } of [before, during, after]) expect([...statuses]).toEqual([200])
      expect(Number(open.split(' ')[1])).toBeGreaterThan((IDLE + SLOW) * 0.9)
      child.kill('SIGTERM')
      expect(await child.exited).toBe(0)
      if (!IS_LONG) return
      const row = ({ p50, p99 }: Measured) => `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`
      console.log(`before: ${row(before)}\nduring: ${row(during)}\nafter: ${row(after)}`)
      console.log(`${open.trim()}, ${left.trim()}; memory ${memoryBefore.toFixed(0)} → ${memoryDuring.toFixed(0)} MiB`)
    },
    IS_LONG ? 300_000 : 60_000,
  )
})
