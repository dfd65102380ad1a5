import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type StartedServer, Workplace } from '../support/command-line.ts'
import { HAS_PROCESSES, httpProcessesOf, isRunning, until } from '../support/processes.ts'
import { bearer, SECRET } from '../support/tokens.ts'

/** Requests at once. */
const LOOPS = 8
/** Processes start while all processors are busy. */
const TEST_MS = 120_000
const ASK = {
  method: 'POST',
  headers: bearer('model:iris:predict'),
  body: '{"input":[[5.1,3.5,1.4,0.2]]}',
}

/** Asks in so many loops, each the next request once the last is answered, until it is stopped. */
function startLoad(base: string, { keepalive }: { readonly keepalive: boolean }) {
  const answered = { right: 0 }
  const failures = Array.from({ length: LOOPS }, (): string[] => [])
  let isOver = false
  const loops = failures.map(async (failed) => {
    while (!isOver) {
      try {
        const response = await fetch(`${base}/models/iris/predict/`, { ...ASK, keepalive })
        const text = await response.text()
        if (response.status === 200 && text.includes('output')) answered.right += 1
        else failed.push(`${response.status} ${text}`)
      } catch (error) {
        failed.push(String(error))
      }
    }
  })
  return {
    answered,
    failures,
    /** Waits for so many right answers from now on. */
    more: (count: number) => {
      const enough = answered.right + count
      return until(() => answered.right >= enough)
    },
    stop: async () => {
      isOver = true
      await Promise.all(loops)
    },
  }
}

describe.skipIf(!HAS_PROCESSES)('four processes under load', () => {
  const place = new Workplace()
  let server: StartedServer
  const httpProcesses = () => httpProcessesOf(server.child.pid)
  const serving = async () => {
    const response = await fetch(`${server.base}/metrics`, { headers: bearer('metrics:read'), keepalive: false })
    return Number(/^vestal_processes\{state="serving"\} (\d+)$/m.exec(await response.text())?.[1])
  }

  beforeAll(async () => {
    server = await place.start(['--processes', '4', '--access-log', 'off'], {
      VESTAL_SECRET: SECRET,
      VESTAL_ACCOUNTS: 'off',
      VESTAL_LOAD_MODEL: 'iris',
      VESTAL_LOG_FORMAT: 'json',
    })
    await until(async () => (await serving()) === 4)
  }, TEST_MS)

  afterAll(async () => {
    server.child.kill('SIGTERM')
    expect(await server.child.exited).toBe(0)
    place[Symbol.dispose]()
  })

  test(
    'one that is killed loses only its own requests, and is replaced',
    async () => {
      const load = startLoad(server.base, { keepalive: false })
      for (const number of [1, 3]) {
        await load.more(50)
        const before = load.failures.map(({ length }) => length)
        const killed = httpProcesses().get(number) ?? 0
        process.kill(killed, 'SIGKILL')
        await until(() => !isRunning(killed))
        await load.more(50)
        // A loop has one request at a time, so one is the most that it can have had there.
        expect(load.failures.map(({ length }, loop) => length - (before[loop] ?? 0)).filter((count) => count > 1)).toEqual([])
        await until(async () => (await serving()) === 4)
      }
      await load.stop()
      const failures = load.failures.flat()
      expect(failures.filter((text) => /^\d/.test(text))).toEqual([])
    },
    TEST_MS,
  )

  test(
    'a rolling restart loses no request, whether connections are kept or used once',
    async () => {
      const loads = [startLoad(server.base, { keepalive: false }), startLoad(server.base, { keepalive: true })]
      const more = () => Promise.all(loads.map((load) => load.more(50)))
      await more()
      const before = [...httpProcesses().values()]
      server.child.kill('SIGHUP')
      await until(async () => !before.some(isRunning) && (await serving()) === 4)
      await more()
      await Promise.all(loads.map((load) => load.stop()))
      expect(loads.flatMap((load) => load.failures.flat())).toEqual([])
    },
    TEST_MS,
  )
})
