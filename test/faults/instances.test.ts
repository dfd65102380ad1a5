import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type StartedServer, Workplace } from '../support/command-line.ts'
import { HARMFUL, putModels } from '../support/harmful-models.ts'
import { sizedModel } from '../support/memory-attacks.ts'
import { childrenOf, isRunning } from '../support/processes.ts'
import { bearer, SECRET } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const TEST_MS = 120_000
const IRIS = '{"input":[[5.1,3.5,1.4,0.2]]}'
const IS_LINUX = process.platform === 'linux'

interface Answer {
  readonly status: number
  readonly text: string
}

async function ask(base: string, path: string, body?: string, id?: string): Promise<Answer> {
  const headers = { ...bearer('*'), ...(id !== undefined && { 'x-request-id': id }) }
  const response = await fetch(`${base}${path}`, { ...(body !== undefined && { method: 'POST', body }), headers })
  return { status: response.status, text: await response.text() }
}

const infer = (base: string, model: string, inputs: unknown, id?: string) =>
  ask(base, `/v2/models/${model}/infer`, JSON.stringify({ inputs }), id)
const iris = (base: string) => ask(base, '/models/iris/predict/', IRIS)

/** Processes below one, however deep. */
function below(pid: number): readonly number[] {
  return childrenOf(pid).flatMap((child) => [child.pid, ...below(child.pid)])
}

function workersOf(pid: number): readonly number[] {
  return below(pid).filter((each) => readFileSync(`/proc/${each}/cmdline`, 'utf8').includes('instance/main.ts'))
}

for (const processes of ['1', '2'])
  describe.skipIf(!IS_LINUX)(
    `a server of ${processes === '1' ? 'one process' : 'two processes'} with models that harm theirs`,
    () => {
      const place = new Workplace()
      const models = mkdtempSync(join(tmpdir(), 'vestal-harm-'))
      const others = ['select_then_gru', 'loop_forever', 'nested_functions', 'inverse_load', 'allocate_forever']
      putModels(models, [...HARMFUL.map(({ name }) => name), ...others], ['iris'])
      mkdirSync(join(models, 'sized/1'), { recursive: true })
      writeFileSync(join(models, 'sized/1/model.onnx'), sizedModel())
      let server: StartedServer
      beforeAll(async () => {
        server = await place.start(['--processes', processes], {
          VESTAL_SECRET: SECRET,
          VESTAL_MODELS: models,
          VESTAL_LOG_FORMAT: 'json',
          VESTAL_LOAD_SECONDS_MAX: '6',
          VESTAL_INSTANCE_MEMORY_BYTES_MAX: String(2 ** 29),
        })
      }, TEST_MS)
      afterAll(async () => {
        const processes = below(server.child.pid)
        server.child.kill('SIGTERM')
        await server.child.exited
        await until(() => !processes.some(isRunning), 'its workers are gone')
        rmSync(models, { recursive: true })
        place[Symbol.dispose]()
      }, TEST_MS)

      test('listens, serves what can be served, and says of the others why not', async () => {
        const { base } = server
        expect((await ask(base, '/v2/health/ready')).status).toBe(200)
        const index = JSON.parse((await ask(base, '/v2/repository/index', '{}')).text) as readonly {
          readonly name: string
          readonly state: string
          readonly reason?: string
        }[]
        const stateOf = (name: string) => index.find((each) => each.name === name)
        for (const { name } of HARMFUL) expect(stateOf(name)).toMatchObject({ name, state: 'READY' })
        expect(stateOf('select_then_gru')).toMatchObject({ state: 'READY' })
        expect(stateOf('inverse_load')).toMatchObject({ state: 'READY' })
        expect(stateOf('loop_forever')).toMatchObject({ state: 'UNAVAILABLE', reason: expect.stringMatching(/more than \d/) })
        expect(stateOf('nested_functions')).toMatchObject({
          state: 'UNAVAILABLE',
          reason: 'the worker process ended before the model was loaded (SIGSEGV)',
        })
        expect((await iris(base)).status).toBe(200)
      }, 30_000)

      test('has no ONNX Runtime in the process that answers HTTP', () => {
        const all = [server.child.pid, ...below(server.child.pid)].map((pid) => ({
          isWorker: readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('instance/main.ts'),
          hasRuntime: readFileSync(`/proc/${pid}/maps`, 'utf8').includes('onnxruntime'),
        }))
        expect(all.filter(({ isWorker, hasRuntime }) => hasRuntime && !isWorker)).toEqual([])
        expect(all.filter(({ isWorker, hasRuntime }) => hasRuntime && isWorker).length).toBeGreaterThanOrEqual(HARMFUL.length)
      })

      test('has workers whose output goes nowhere, so that a model which prints without end fills nothing', () => {
        const outputs = workersOf(server.child.pid).map((pid) =>
          [1, 2].map((output) => readlinkSync(`/proc/${pid}/fd/${output}`)),
        )
        expect(outputs.length).toBeGreaterThanOrEqual(HARMFUL.length)
        expect(new Set(outputs.flat())).toEqual(new Set(['/dev/null']))
      })

      for (const { name, signal, deadly, harmless } of HARMFUL) {
        test(`reports the one request of ${name} that it died of ${signal}, and serves the next and all others`, async () => {
          const { base } = server
          expect((await infer(base, name, harmless)).status).toBe(200)
          const [dead, other] = await Promise.all([infer(base, name, deadly, `deadly-${name}`), iris(base)])
          expect([dead.status, other.status]).toEqual([503, 200])
          expect(dead.text).toContain('The worker that computed this request stopped')
          expect((await infer(base, name, harmless)).status).toBe(200)
          const metrics = await ask(base, '/metrics')
          expect(metrics.text).toContain(`vestal_model_instance_ends_total{model="${name}",version="1",cause="${signal}"} 1\n`)
          const audit = place.run(['audit', '--json'], { VESTAL_SECRET: SECRET }).stdout
          expect(audit).toContain(`"subject":"${name}/1","reason":"${signal} in a run of deadly-${name}"`)
        }, 30_000)
      }

      test('fails a run that asks for more memory at once than its process may have, and keeps the worker', async () => {
        const { base } = server
        const make = (count: number) => infer(base, 'sized', [{ name: 'n', datatype: 'INT64', shape: [1], data: [count] }])
        expect((await make(2)).status).toBe(200)
        const before = workersOf(server.child.pid)
        const failed = await make(1_000_000_000)
        expect([failed.status, failed.text]).toEqual([400, expect.stringContaining('4000000000 bytes of memory at once')])
        expect((await make(2)).status).toBe(200)
        expect(workersOf(server.child.pid)).toEqual(before)
      }, 30_000)

      test('kills a worker that takes memory without end, and only that', async () => {
        const { base } = server
        const inputs = [{ name: 'x', datatype: 'FP32', shape: [], data: [1] }]
        const [dead, other] = await Promise.all([infer(base, 'allocate_forever', inputs), iris(base)])
        expect([dead.status, other.status]).toEqual([503, 200])
        const metrics = await ask(base, '/metrics')
        expect(metrics.text).toContain(
          'vestal_model_instance_ends_total{model="allocate_forever",version="1",cause="memory limit"} 1\n',
        )
        await until(async () => {
          const { text } = await ask(base, '/v2/models/allocate_forever/ready')
          return text !== '' || (await ask(base, '/v2/models/allocate_forever/ready')).status === 200
        })
      }, 60_000)

      test('continues with the model that it has while the file of it changes under it', async () => {
        writeFileSync(join(models, 'iris/1/model.onnx'), 'not a model any more')
        expect((await iris(server.base)).status).toBe(200)
        // A worker that ends has no other model in its place: what is there now is loaded as a whole, or not.
        for (const pid of workersOf(server.child.pid)) process.kill(pid, 'SIGKILL')
        const [{ name, harmless }] = HARMFUL
        await until(async () => (await infer(server.base, name, harmless)).status === 200, 'others are back')
        await until(async () => (await iris(server.base)).status === 503, 'no worker has it')
        putModels(models, [], ['iris'])
        await until(async () => (await iris(server.base)).status === 200, 'it is loaded again')
      }, 60_000)

      test(
        'lets vestal models list, models check and doctor survive any file',
        () => {
          const environment = { VESTAL_SECRET: SECRET, VESTAL_MODELS: models, VESTAL_LOAD_SECONDS_MAX: '6' }
          const listed = place.run(['models', 'list'], environment)
          expect(listed.exitCode).toBe(0)
          expect(listed.stdout).toMatch(/nested_functions .*SIGSEGV/)
          const checked = place.run(['models', 'check', join(models, 'nested_functions/1/model.onnx')], environment)
          expect([checked.exitCode, checked.stderr]).toEqual([1, expect.stringContaining('SIGSEGV')])
          const { stdout, stderr } = place.run(['doctor'], environment)
          expect(`${stdout}${stderr}`).toContain(
            'nested_functions, version 1: the worker process ended before the model was loaded (SIGSEGV)',
          )
        },
        TEST_MS,
      )
    },
  )

describe.skipIf(!IS_LINUX)('a start with a model that never finishes loading', () => {
  test(
    'gives the load up when it is stopped, and leaves nothing behind',
    async () => {
      using place = new Workplace()
      const models = mkdtempSync(join(tmpdir(), 'vestal-harm-'))
      putModels(models, ['loop_forever'], ['iris'])
      const shared = () => readdirSync('/dev/shm').filter((name) => name.startsWith('vestal'))
      const before = shared()
      const child = Bun.spawn([...place.program, 'start', '--port', '0'], {
        cwd: place.folder,
        env: place.environment({ VESTAL_SECRET: SECRET, VESTAL_MODELS: models, TMPDIR: place.folder }),
        stdout: 'ignore',
        stderr: 'ignore',
      })
      await until(() => below(child.pid).length >= 2, 'the workers have started')
      const workers = below(child.pid)
      child.kill('SIGKILL')
      await child.exited
      await until(() => !workers.some(isRunning), 'the workers ended with their server')
      expect(shared()).toEqual(before)
      expect(readdirSync(place.folder).filter((name) => name.startsWith('vestal-'))).toEqual([])
      rmSync(models, { recursive: true })
    },
    TEST_MS,
  )
})
