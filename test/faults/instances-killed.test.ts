import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { signJwt } from '../../src/index.ts'
import { type StartedServer, Workplace } from '../support/command-line.ts'
import { HARMFUL, putModels } from '../support/harmful-models.ts'
import { childrenOf, engineOf, isRunning, until } from '../support/processes.ts'
import { seedOf } from '../support/seed.ts'
import { identityModel } from '../support/tiny-models.ts'
import { SECRET } from '../support/tokens.ts'

const TEST_MS = process.env.VESTAL_TEST_LONG === '1' ? 900_000 : 120_000
/** Requests while workers are killed at random. */
const REQUESTS = process.env.VESTAL_TEST_LONG === '1' ? 100_000 : 3_000
/** Crashes by one caller. */
const CRASHES = process.env.VESTAL_TEST_LONG === '1' ? 200 : 12
const CRASH_MS = 300
/** Milliseconds between kills at random, on average. */
const KILL_MS = 200
const CALLERS = 16

const tokenOf = (sub: string) => signJwt({ sub, exp: 4e9, data: { permissions: ['model:*:predict', 'metrics:read'] } }, SECRET)
const headersOf = (sub: string) => ({ authorization: `Bearer ${tokenOf(sub)}` })

const models = mkdtempSync(join(tmpdir(), 'vestal-killed-'))
putModels(models, ['modint'], ['iris'])
mkdirSync(join(models, 'echo/1'), { recursive: true })
writeFileSync(join(models, 'echo/1/model.onnx'), identityModel('FP32', ['n']))
afterAll(() => rmSync(models, { recursive: true }))
let server: StartedServer
/** Workers are the children of the process that has the engine. */
const workers = () => childrenOf(engineOf(server.child.pid) ?? server.child.pid).map(({ pid }) => pid)

/** Asks `echo` for a number, and gives it where that is the answer; else what came in its place. */
async function echo(value: number, headers: Record<string, string>): Promise<number | string> {
  const body = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [value] }] })
  const response = await fetch(`${server.base}/v2/models/echo/infer`, { method: 'POST', body, headers })
  const text = await response.text()
  if (response.status !== 200) return `${response.status} ${text}`
  return (JSON.parse(text) as { outputs: readonly [{ data: readonly [number] }] }).outputs[0].data[0]
}

async function remainder(inputs: unknown, headers: Record<string, string>): Promise<string> {
  const body = JSON.stringify({ inputs })
  const response = await fetch(`${server.base}/v2/models/modint/infer`, { method: 'POST', body, headers })
  return `${response.status} ${await response.text()}`
}

/** Callers that ask for one number after the other until they are told to stop, or have asked for so many. */
function startCallers(requestsMax = Number.POSITIVE_INFINITY) {
  const lost: string[] = []
  const wrong: string[] = []
  let [asked, right] = [0, 0]
  let isOver = false
  const callers = Array.from({ length: CALLERS }, async (_, index) => {
    const headers = headersOf(`caller ${index}`)
    while (!isOver && asked < requestsMax) {
      asked += 1
      const value = asked
      const answer = await echo(value, headers).catch(String)
      if (answer === value) right += 1
      else if (typeof answer === 'string' && answer.startsWith('503 ')) lost.push(answer)
      else wrong.push(`${value}: ${answer}`)
    }
  })
  return {
    lost,
    wrong,
    asked: () => asked,
    right: () => right,
    done: Promise.all(callers),
    stop: async () => {
      isOver = true
      await Promise.all(callers)
    },
  }
}

for (const processes of ['1', '2'])
  describe.skipIf(process.platform !== 'linux')(
    `worker processes of a server with --processes ${processes} that are killed`,
    () => {
      const place = new Workplace()
      beforeAll(async () => {
        server = await place.start(['--access-log', 'off', '--processes', processes], {
          VESTAL_SECRET: SECRET,
          VESTAL_MODELS: models,
          VESTAL_ACCOUNTS: 'off',
          VESTAL_ISSUER: '',
        })
      }, TEST_MS)
      afterAll(async () => {
        const left = workers()
        server.child.kill('SIGTERM')
        expect(await server.child.exited).toBe(0)
        await until(() => !left.some(isRunning), 'the workers are gone')
        place[Symbol.dispose]()
      }, TEST_MS)

      test(
        'all at once under load lose the requests of their runs, and nothing else',
        async () => {
          const callers = startCallers()
          await until(() => callers.right() > 100)
          for (const pid of workers()) process.kill(pid, 'SIGKILL')
          const before = callers.right()
          await until(() => callers.right() > before + 200, 'all is served again')
          await callers.stop()
          expect(callers.wrong).toEqual([])
          // One run, of at most all callers; those that it was given ahead and those that waited are served by the next.
          expect(callers.lost.length).toBeLessThanOrEqual(CALLERS)
          expect(callers.asked()).toBe(callers.right() + callers.lost.length)
        },
        TEST_MS,
      )

      test(
        `at random give no wrong answer, none to another caller, and leave none of ${REQUESTS} requests without one`,
        async () => {
          let state = seedOf('instances-killed')
          const draw = () => {
            state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
            return state / 0x80000000
          }
          const callers = startCallers(REQUESTS)
          let isOver = false
          void callers.done.then(() => {
            isOver = true
          })
          let kills = 0
          while (!isOver) {
            await Bun.sleep(draw() * 2 * KILL_MS)
            const all = workers()
            const pid = all[Math.floor(draw() * all.length)]
            if (pid === undefined) continue
            try {
              process.kill(pid, 'SIGKILL')
              kills += 1
            } catch {
              // It has ended since.
            }
          }
          expect(callers.wrong).toEqual([])
          expect(callers.asked()).toBe(callers.right() + callers.lost.length)
          // Where several are killed while they start, the model is shown as unavailable for a moment.
          const inRuns = callers.lost.filter((text) => text.includes('The worker that computed this request stopped'))
          expect(inRuns.length).toBeLessThanOrEqual(CALLERS * kills)
          console.log(`killed ${kills} workers; of ${callers.asked()} requests ${callers.lost.length} were told so`)
        },
        TEST_MS,
      )

      test(
        'by one caller again and again cost the others the one run that they shared with it',
        async () => {
          const [, { deadly, harmless }] = HARMFUL
          let isOver = false
          let [right, crashes] = [0, 0]
          const failed: string[] = []
          const own = headersOf('first')
          // Its worker may have been killed just now.
          await until(async () => (await remainder(harmless, own)).startsWith('200 '))
          const others = Array.from({ length: CALLERS }, async (_, index) => {
            const headers = headersOf(`other ${index}`)
            while (!isOver) {
              const answer = await remainder(harmless, headers)
              if (answer.startsWith('200 ')) right += 1
              else failed.push(answer)
            }
          })
          await until(() => right > 100)
          const headers = headersOf('eve')
          while (crashes < CRASHES) {
            expect(await remainder(deadly, headers)).toStartWith('503 ')
            crashes += 1
            await Bun.sleep(CRASH_MS)
          }
          isOver = true
          await Promise.all(others)
          console.log(
            `${crashes} crashes by one caller; of the others' ${right + failed.length} requests ${failed.length} failed`,
          )
          expect(failed.filter((text) => !text.includes('The worker that computed this request stopped'))).toEqual([])
          expect(failed.length).toBeLessThanOrEqual(CALLERS)
          expect(right).toBeGreaterThan(CALLERS * CRASHES)
        },
        TEST_MS,
      )
    },
  )
