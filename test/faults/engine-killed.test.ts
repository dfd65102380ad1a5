import { describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { factorModel, put } from '../support/factor-model.ts'
import { childrenOf, HAS_PROCESSES, isRunning, until } from '../support/processes.ts'
import { OWN, Several } from '../support/several.ts'
import { bearer } from '../support/tokens.ts'

/** Requests at once. */
const LOOPS = 8
/** Processes start while all processors are busy. */
const TEST_MS = 120_000
const FACTOR = 3
const HEADERS = bearer('model:times:predict')
/** Every third request is one whose tensors go through memory, and not through a socket. */
const LARGE = 20_000

interface Answer {
  readonly outputs?: readonly { readonly data: readonly number[] }[]
}

/** What became of the requests of a load. */
interface Outcomes {
  right: number
  /** Answered with somebody else's numbers, or with none. */
  readonly wrong: string[]
  readonly lost: string[]
  readonly others: string[]
}

async function ask(several: Several, number: number, outcomes: Outcomes): Promise<void> {
  const data = number % 3 === 0 ? Array<number>(LARGE).fill(number) : [number]
  const body = JSON.stringify({ inputs: [{ name: 'x', shape: [data.length], datatype: 'FP32', data }] })
  try {
    const response = await several.fetch('/v2/models/times/infer', { method: 'POST', headers: HEADERS, body, keepalive: true })
    const text = await response.text()
    if (response.status !== 200) {
      if (text.includes('The engine process')) outcomes.lost.push(`${response.status} ${response.headers.get('retry-after')}`)
      else outcomes.others.push(`${response.status} ${text}`)
      return
    }
    // The cast: an answer of the inference protocol.
    const answered = (JSON.parse(text) as Answer).outputs?.[0]?.data ?? []
    const isRight = answered.length === data.length && answered.every((value) => value === number * FACTOR)
    if (isRight) outcomes.right += 1
    else outcomes.wrong.push(`${number}: ${answered.slice(0, 3)}`)
  } catch (error) {
    outcomes.others.push(String(error))
  }
}

/** Asks in so many loops, each with numbers that no other has, until it is stopped. */
function startLoad(several: Several) {
  const outcomes: Outcomes = { right: 0, wrong: [], lost: [], others: [] }
  let isOver = false
  const loops = Array.from({ length: LOOPS }, async (_, loop) => {
    for (let number = loop; !isOver; number += LOOPS) await ask(several, number % 2 ** 20, outcomes)
  })
  return {
    outcomes,
    more: (count: number) => {
      const enough = outcomes.right + count
      return until(() => outcomes.right >= enough)
    },
    stop: async () => {
      isOver = true
      await Promise.all(loops)
    },
  }
}

/** A server that has models of the folder, and one that a request brought. */
async function start() {
  const temporary = mkdtempSync(join(tmpdir(), 'vestal-killed-'))
  const several = await Several.start(
    ['--processes', '2', '--access-log', 'off', '--model-control', 'explicit', '--model-override', 'on'],
    '',
    { ...OWN, VESTAL_LOAD_MODEL: '*', VESTAL_MODELS: 'own', TMPDIR: temporary },
    (folder) => put(folder, 'own/times/1/model.onnx', factorModel(FACTOR)),
  )
  const file = Buffer.from(factorModel(7)).toString('base64')
  const body = JSON.stringify({ parameters: { config: '{"backend":"onnxruntime"}', 'file:1/model.onnx': file } })
  const init = { method: 'POST', headers: bearer('model:*:admin'), body }
  expect((await several.fetch('/v2/repository/models/brought/load', init)).status).toBe(200)
  /** What is left in shared memory, in the folder of temporary files and in the table of processes. */
  const left = async (pids: readonly number[]) => {
    await until(() => !pids.some(isRunning), 'its processes are gone')
    const files = [...readdirSync('/dev/shm').filter((name) => name.startsWith('vestal')), ...readdirSync(temporary)]
    rmSync(temporary, { recursive: true })
    return files
  }
  const processes = () => [several.engine, ...several.httpProcesses.values(), ...childrenOf(several.engine).map(({ pid }) => pid)]
  return { several, left, processes }
}

describe.skipIf(!HAS_PROCESSES)('an engine process under load', () => {
  test(
    'that is killed loses the requests that it had, each gets an error that says so once, and all is served again',
    async () => {
      const { several: started, left, processes } = await start()
      await using several = started
      const httpProcesses = new Set(several.httpProcesses.values())
      const load = startLoad(several)
      let health = 0
      for (let time = 1; time <= 3; time += 1) {
        await load.more(40)
        const killed = several.engine
        process.kill(killed, 'SIGKILL')
        await until(async () => {
          // What computes nothing is answered all the time.
          if ((await several.fetch('/v2/health/live')).status === 200) health += 1
          return (await several.metric('vestal_engine_restarts_total')) === time
        })
        await load.more(40)
      }
      await load.stop()
      const { right, wrong, lost, others } = load.outcomes
      expect([wrong, others]).toEqual([[], []])
      expect(new Set(lost)).toEqual(new Set(['503 1']))
      expect([right > 240, health > 0]).toEqual([true, true])
      expect(new Set(several.httpProcesses.values())).toEqual(httpProcesses)
      const pids = processes()
      expect((await several.stop()).code).toBe(0)
      expect(await left(pids)).toEqual([])
    },
    TEST_MS,
  )

  test(
    'serves the others where one of the processes that ask it is killed again and again',
    async () => {
      const { several: started, left, processes } = await start()
      await using several = started
      const { engine } = several
      const load = startLoad(several)
      for (let time = 1; time <= 4; time += 1) {
        await load.more(40)
        const number = 1 + (time % 2)
        const killed = several.httpProcesses.get(number) ?? 0
        process.kill(killed, 'SIGKILL')
        await until(async () => (await several.metric('vestal_process_restarts_total').catch(() => 0)) === time)
        await until(async () => (await several.serving().catch(() => 0)) === 2)
      }
      await load.more(40)
      await load.stop()
      const { wrong, lost, others } = load.outcomes
      // A loop has one request at a time, so one for each end is the most that it can have had there.
      expect([wrong, lost, others.filter((text) => /^\d/.test(text)), others.length <= 4 * LOOPS]).toEqual([[], [], [], true])
      expect(several.engine).toBe(engine)
      const pids = processes()
      expect((await several.stop()).code).toBe(0)
      expect(await left(pids)).toEqual([])
    },
    TEST_MS,
  )

  test(
    'finishes what it has where the supervisor is killed, and leaves nothing behind',
    async () => {
      const { several: started, left, processes } = await start()
      await using several = started
      const load = startLoad(several)
      await load.more(40)
      const pids = processes()
      await several.stop('SIGKILL')
      await until(() => !pids.some(isRunning))
      await load.stop()
      const { wrong, lost } = load.outcomes
      expect([wrong, lost]).toEqual([[], []])
      expect(await left(pids)).toEqual([])
    },
    TEST_MS,
  )
})
