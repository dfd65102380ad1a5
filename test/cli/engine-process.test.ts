import { describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Workplace } from '../support/command-line.ts'
import { factorModel, put } from '../support/factor-model.ts'
import { HARMFUL, putModels } from '../support/harmful-models.ts'
import { childrenOf, engineOf, HAS_PROCESSES, isRunning, until } from '../support/processes.ts'
import { OWN, Several } from '../support/several.ts'
import { bearer } from '../support/tokens.ts'

const COUNT = ['--processes', '2']
/** Processes start while all processors are busy. */
const TEST_MS = 120_000
const HEADERS = bearer('model:*:predict', 'model:*:read', 'model:*:admin')

/** A folder of models that multiply by 2, 3 and so on, gone afterwards; below it is a folder of temporary files. */
class Models implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'vestal-shared-models-'))
  readonly temporary = join(this.folder, 'tmp')

  static async of(...names: readonly string[]): Promise<Models> {
    const models = new Models()
    mkdirSync(models.temporary)
    for (const [index, name] of names.entries()) await put(models.folder, `models/${name}/1/model.onnx`, factorModel(index + 2))
    return models
  }

  environment(more: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
    const { VESTAL_LOAD_MODEL: _, ...own } = OWN
    return { ...own, VESTAL_MODELS: join(this.folder, 'models'), TMPDIR: this.temporary, ...more }
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Asks on a connection of its own, so that any process may have it. */
async function predict(several: Several, name: string): Promise<number | string> {
  const body = JSON.stringify({ inputs: [{ name: 'x', shape: [1], datatype: 'FP32', data: [10] }] })
  const response = await several.fetch(`/v2/models/${name}/infer`, { method: 'POST', headers: HEADERS, body })
  // The cast: an answer of the inference protocol, or a refusal.
  const answer = (await response.json()) as { outputs?: { data: number[] }[]; error?: string }
  return answer.outputs?.[0]?.data[0] ?? `${response.status}`
}

/** The same of so many requests, which reach all processes. */
async function predictMany(several: Several, name: string): Promise<ReadonlySet<number | string>> {
  return new Set(await Promise.all(Array.from({ length: 30 }, () => predict(several, name))))
}

async function change(several: Several, name: string, what: 'load' | 'unload', body?: unknown): Promise<number> {
  const init = { method: 'POST', headers: HEADERS, ...(body !== undefined && { body: JSON.stringify(body) }) }
  return (await several.fetch(`/v2/repository/models/${name}/${what}`, init)).status
}

const killEngine = async (several: Several) => {
  const killed = several.engine
  process.kill(killed, 'SIGKILL')
  await until(() => ![undefined, killed].includes(engineOf(several.server.child.pid)))
  await until(async () => (await several.fetch('/v2/health/ready').catch(() => undefined))?.status === 200)
  return killed
}

/** Processes below one, however deep. */
function below(pid: number): readonly number[] {
  return childrenOf(pid).flatMap((child) => [child.pid, ...below(child.pid)])
}

/** State of a model, as the index has it. */
async function stateOf(several: Several, name: string): Promise<string | undefined> {
  const response = await several.fetch('/v2/repository/index', { method: 'POST', headers: HEADERS, body: '{}' })
  // The cast: an answer of the repository protocol.
  const models = (await response.json()) as readonly { readonly name: string; readonly state?: string }[]
  return models.find((model) => model.name === name)?.state
}

/** Libraries that a process has mapped: that of ONNX Runtime is there where models are computed. */
function hasRuntime(pid: number): boolean {
  return readFileSync(`/proc/${pid}/maps`, 'utf8').includes('onnxruntime')
}

describe.skipIf(!HAS_PROCESSES)('the models of several processes', () => {
  test(
    'are loaded once, by a process that all of them share',
    async () => {
      using models = await Models.of('a')
      await using several = await Several.start([...COUNT, '--instances', '1'], '', models.environment())
      expect(await predictMany(several, 'a')).toEqual(new Set([20]))
      expect(childrenOf(several.engine)).toHaveLength(1)
      for (const pid of several.httpProcesses.values()) expect([childrenOf(pid), hasRuntime(pid)]).toEqual([[], false])
      expect(await several.metric('nv_inference_request_success', '{model="a",version="1"}')).toBe(30)
      expect(await several.metric('vestal_model_ready', '{model="a",version="1"}')).toBe(1)
    },
    TEST_MS,
  )

  test(
    'are loaded and unloaded through any of them, for all',
    async () => {
      using models = await Models.of('a', 'b')
      const environment = models.environment({ VESTAL_LOAD_MODEL: 'a', VESTAL_MODEL_OVERRIDE: 'on' })
      await using several = await Several.start([...COUNT, '--model-control', 'explicit'], '', environment)
      for (let time = 0; time < 3; time += 1) {
        expect(await change(several, 'b', 'load')).toBe(200)
        expect(await predictMany(several, 'b')).toEqual(new Set([30]))
        expect(await change(several, 'b', 'unload')).toBe(200)
        expect(await predictMany(several, 'b')).toEqual(new Set(['404']))
      }
      const forbidden = await several.fetch('/v2/repository/models/b/load', { method: 'POST', headers: bearer('model:a:admin') })
      expect(forbidden.status).toBe(403)
      const reading = bearer('model:a:read', 'model:b:read')
      const index = async () =>
        (await several.fetch('/v2/repository/index', { method: 'POST', headers: reading })).json() as Promise<{ name: string }[]>
      for (let time = 0; time < 8; time += 1) expect((await index()).map(({ name }) => name)).toEqual(['a', 'b'])
    },
    TEST_MS,
  )

  test(
    'are served again as requests have left them after the process that has them was killed',
    async () => {
      using models = await Models.of('a', 'b', 'c')
      const environment = models.environment({ VESTAL_LOAD_MODEL: 'a,c', VESTAL_MODEL_OVERRIDE: 'on' })
      await using several = await Several.start([...COUNT, '--model-control', 'explicit'], '', environment)
      const file = Buffer.from(factorModel(7)).toString('base64')
      const brought = { parameters: { config: '{"backend":"onnxruntime"}', 'file:1/model.onnx': file } }
      expect(await change(several, 'brought', 'load', brought)).toBe(200)
      expect(await change(several, 'b', 'load')).toBe(200)
      expect(await change(several, 'c', 'unload')).toBe(200)
      const pids = new Set(several.httpProcesses.values())
      for (let time = 1; time <= 2; time += 1) {
        const killed = await killEngine(several)
        expect(several.engine).not.toBe(killed)
        for (const [name, answer] of [
          ['a', 20],
          ['b', 30],
          ['brought', 70],
          ['c', '404'],
        ] as const)
          expect([name, ...(await predictMany(several, name))]).toEqual([name, answer])
        expect(await several.metric('vestal_engine_restarts_total')).toBe(time)
      }
      expect(new Set(several.httpProcesses.values())).toEqual(pids)
      const { code, log } = await several.stop()
      expect(code).toBe(0)
      expect(log).toContain('the engine process ended with SIGKILL; starting a replacement, which loads the same models')
      expect(readdirSync(models.temporary)).toEqual([])
    },
    TEST_MS,
  )

  test(
    'are away while the process that has them is: what needs none is answered, predictions get 503 and when to try again',
    async () => {
      using models = await Models.of('a')
      await using several = await Several.start(COUNT, '', models.environment())
      const stopped = several.engine
      // It hangs, so that it is away for longer than it takes to start one.
      process.kill(stopped, 'SIGSTOP')
      const body = JSON.stringify({ inputs: [{ name: 'x', shape: [1], datatype: 'FP32', data: [10] }] })
      const asked = Array.from({ length: 10 }, () =>
        several.fetch('/v2/models/a/infer', { method: 'POST', headers: HEADERS, body }),
      )
      const [live, info, list] = await Promise.all(
        ['/v2/health/live', '/public/info/', '/models/'].map((path) => several.fetch(path, { headers: HEADERS })),
      )
      expect([live?.status, info?.status, list?.status]).toEqual([200, 200, 200])
      process.kill(stopped, 'SIGKILL')
      const answers = await Promise.all(asked)
      for (const response of answers) {
        expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
        expect(await response.text()).toContain('The engine process that computes predictions stopped')
      }
      await until(async () => (await predict(several, 'a')) === 20)
      expect((await several.stop()).code).toBe(0)
    },
    TEST_MS,
  )

  test(
    'are served again while one of them is still loading',
    async () => {
      using models = await Models.of('a')
      putModels(join(models.folder, 'models'), ['loop_forever'])
      await using several = await Several.start(COUNT, '', models.environment({ VESTAL_LOAD_SECONDS_MAX: '8' }))
      expect([await predict(several, 'a'), await stateOf(several, 'loop_forever')]).toEqual([20, 'UNAVAILABLE'])
      const killed = several.engine
      process.kill(killed, 'SIGKILL')
      await until(() => !isRunning(killed))
      const answers = new Set<number | string>()
      await until(async () => {
        answers.add(await predict(several, 'a'))
        return answers.has(20)
      })
      expect(await stateOf(several, 'loop_forever')).toBe('LOADING')
      expect((await several.fetch('/v2/health/ready')).status).toBe(503)
      expect([...answers].filter((answer) => answer !== 20 && answer !== '503')).toEqual([])
      await until(async () => (await several.fetch('/v2/health/ready')).status === 200)
    },
    TEST_MS,
  )

  test(
    'are not touched where the HTTP processes are replaced',
    async () => {
      using models = await Models.of('a', 'b')
      await using several = await Several.start([...COUNT, '--model-control', 'explicit'], '', models.environment())
      const { engine } = several
      expect(await change(several, 'b', 'unload')).toBe(200)
      const before = [...several.httpProcesses.values()]
      several.write('title = "Two"\n')
      several.server.child.kill('SIGHUP')
      await until(async () => !before.some(isRunning) && (await several.serving()) === 2)
      expect(several.engine).toBe(engine)
      expect(await predictMany(several, 'a')).toEqual(new Set([20]))
      expect(await predictMany(several, 'b')).toEqual(new Set(['404']))
    },
    TEST_MS,
  )

  test(
    'leave nothing behind, anyone who is killed',
    async () => {
      using models = await Models.of('a')
      const environment = models.environment({ VESTAL_MODEL_OVERRIDE: 'on' })
      for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
        await using several = await Several.start([...COUNT, '--model-control', 'explicit'], '', environment)
        const file = Buffer.from(factorModel(7)).toString('base64')
        const brought = { parameters: { config: '{"backend":"onnxruntime"}', 'file:1/model.onnx': file } }
        expect(await change(several, 'brought', 'load', brought)).toBe(200)
        expect(readdirSync(models.temporary)).not.toEqual([])
        const pids = [several.engine, ...several.httpProcesses.values(), ...childrenOf(several.engine).map(({ pid }) => pid)]
        await several.stop(signal)
        await until(() => !pids.some(isRunning))
        expect(readdirSync(models.temporary)).toEqual([])
      }
    },
    TEST_MS,
  )

  test(
    'leave nothing behind for longer than until the next start where all are killed at once',
    async () => {
      using models = await Models.of('a')
      mkdirSync(join(models.temporary, 'vestal-model-0-1-1-other'))
      for (const count of [COUNT, ['--processes', '1']]) {
        using place = new Workplace()
        const environment = models.environment({ VESTAL_MODEL_OVERRIDE: 'on' })
        const start = () => place.start([...count, '--model-control', 'explicit'], environment)
        const { child, base } = await start()
        const file = Buffer.from(factorModel(7)).toString('base64')
        const body = JSON.stringify({ parameters: { config: '{"backend":"onnxruntime"}', 'file:1/model.onnx': file } })
        const loaded = await fetch(`${base}/v2/repository/models/brought/load`, { method: 'POST', headers: HEADERS, body })
        expect(loaded.status).toBe(200)
        const all = below(child.pid)
        for (const pid of [child.pid, ...all]) process.kill(pid, 'SIGKILL')
        await child.exited
        await until(() => !all.some(isRunning))
        expect(readdirSync(models.temporary)).toHaveLength(2)
        const next = await start()
        // Its own, where it has one, and what is of somebody else.
        const left = readdirSync(models.temporary).filter((name) => !name.includes(`-${next.child.pid}-`))
        expect(left).toEqual(['vestal-model-0-1-1-other'])
        next.child.kill('SIGTERM')
        await next.child.exited
      }
    },
    TEST_MS,
  )

  test(
    'cost the request alone that ends their own process; the log names it, and no other process ends',
    async () => {
      using models = await Models.of('a')
      putModels(join(models.folder, 'models'), ['divint'])
      await using several = await Several.start(COUNT, '', models.environment())
      const pids = [several.engine, ...several.httpProcesses.values()]
      const [{ deadly, harmless }] = HARMFUL
      const infer = async (inputs: unknown) => {
        const headers = { ...HEADERS, 'x-request-id': 'deadly-1' }
        const init = { method: 'POST', headers, body: JSON.stringify({ inputs }) }
        return (await several.fetch('/v2/models/divint/infer', init)).status
      }
      expect(await infer(harmless)).toBe(200)
      const [ended, ...others] = await Promise.all([infer(deadly), predictMany(several, 'a')])
      expect([ended, others]).toEqual([503, [new Set([20])]])
      await until(async () => (await infer(harmless)) === 200)
      expect([several.engine, ...several.httpProcesses.values()]).toEqual(pids)
      const { code, log } = await several.stop()
      expect(code).toBe(0)
      const line = log.split('\n').find((text) => text.includes('SIGFPE'))
      expect(JSON.parse(line ?? '{}').process).toBe(0)
    },
    TEST_MS,
  )

  test(
    'are not there any more where they are gone from the disk when another process loads them',
    async () => {
      using models = await Models.of('a')
      await using several = await Several.start(COUNT, '', models.environment())
      rmSync(join(models.folder, 'models'), { recursive: true })
      await killEngine(several)
      await until(async () => [...(await predictMany(several, 'a'))].join() === '404')
      expect((await several.fetch('/v2/health/live')).status).toBe(200)
    },
    TEST_MS,
  )
})
