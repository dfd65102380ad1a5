import { describe, expect, test } from 'bun:test'
import { Workplace } from '../support/command-line.ts'
import { answerOf, failure } from '../support/doors.ts'
import { HAS_PROCESSES, isRunning, until } from '../support/processes.ts'
import { OPERATOR, OWN, Several } from '../support/several.ts'
import { bearer } from '../support/tokens.ts'

interface TritonStats {
  readonly name: string
  readonly version: string
  readonly inference_count: number
  readonly inference_stats: { readonly success: { readonly count: number } }
}

const COUNT = ['--processes', '2']
/** Processes start while all processors are busy. */
const TEST_MS = 120_000
const long = `/public/info/?${'x'.repeat(300)}`

/** Statuses of so many requests, each on a connection of its own: two processes are missed by all of them in one of 2^39 cases. */
async function statusesOf(several: Several, path: string): Promise<ReadonlySet<number>> {
  const statuses = await Promise.all(Array.from({ length: 40 }, async () => (await several.fetch(path)).status))
  return new Set(statuses)
}

describe.skipIf(!HAS_PROCESSES)('vestal start --processes', () => {
  test(
    'serves on one port with all of them, whose lines of the log have their numbers',
    async () => {
      await using several = await Several.start(COUNT)
      expect([...several.httpProcesses.keys()].sort()).toEqual([1, 2])
      expect(await statusesOf(several, '/public/info/')).toEqual(new Set([200]))
      const { code, log } = await several.stop()
      expect(code).toBe(0)
      const lines = log.split('\n').filter((line) => line.includes('"route":"/public/info/"'))
      expect(new Set(lines.map((line) => JSON.parse(line).process))).toEqual(new Set([1, 2]))
      expect(JSON.parse(lines[0] ?? '').address).toBe('127.0.0.1')
    },
    TEST_MS,
  )

  test(
    'gives the same metrics whichever process is asked, and what one that is gone counted',
    async () => {
      await using several = await Several.start(COUNT)
      await statusesOf(several, '/public/info/')
      const count = () =>
        several.metric('vestal_http_request_duration_seconds_count', '{method="GET",route="/public/info/",status="200"}')
      for (let time = 0; time < 10; time += 1) expect(await count()).toBe(40)
      const second = several.httpProcesses.get(2) ?? 0
      process.kill(second, 'SIGTERM')
      await until(async () => !isRunning(second) && (await several.serving()) === 2)
      expect(await count()).toBe(40)
      expect(await several.metric('vestal_process_restarts_total')).toBe(1)
      expect(await several.metric('vestal_ready')).toBe(1)
    },
    TEST_MS,
  )

  test(
    'gives the statistics of models, whichever is asked, also what one asked for that is gone',
    async () => {
      await using several = await Several.start(COUNT, '', { ...OWN, VESTAL_LOAD_MODEL: 'iris' })
      const headers = bearer('model:*:predict', 'model:*:read')
      const body = '{"input":[[5.1,3.5,1.4,0.2],[5.1,3.5,1.4,0.2]]}'
      const ask = async () => (await several.fetch('/models/iris/predict/', { method: 'POST', headers, body })).status
      expect(new Set(await Promise.all(Array.from({ length: 20 }, ask)))).toEqual(new Set([200]))
      const statsAt = async (path: string) => {
        // The cast: an answer of Triton's statistics extension.
        const { model_stats } = (await (await several.fetch(path, { headers })).json()) as { model_stats: TritonStats[] }
        return model_stats.map(({ name, version, inference_count, inference_stats }) => [
          name,
          version,
          inference_count,
          inference_stats.success.count,
        ])
      }
      const paths = ['/v2/models/stats', '/v2/models/iris/stats', '/v2/models/iris/versions/1/stats']
      for (let time = 0; time < 8; time += 1)
        for (const path of paths) expect(await statsAt(path)).toEqual([['iris', '1', 40, 20]])
      const second = several.httpProcesses.get(2) ?? 0
      process.kill(second, 'SIGTERM')
      await until(async () => !isRunning(second) && (await several.serving()) === 2)
      for (const path of paths) expect(await statsAt(path)).toEqual([['iris', '1', 40, 20]])
    },
    TEST_MS,
  )

  test(
    'gives the metrics of all of them on a port of their own, and warns of limits that it cannot share out',
    async () => {
      await using several = await Several.start([...COUNT, '--metrics-port', '0', '--address-requests-per-minute', '90000'])
      const { code, log } = await several.stop()
      expect(code).toBe(0)
      expect(several.server.output + log).toMatch(/Metrics are at http:\/\/127\.0\.0\.1:\d+\/metrics/)
      expect(log).toContain('address_requests_per_minute: each of 2 processes enforces its own share')
    },
    TEST_MS,
  )

  test(
    'reads the settings again in all of them, or in none',
    async () => {
      await using several = await Several.start(COUNT)
      const reload = () => answerOf(several.fetch('/admin/reload', { method: 'POST', headers: OPERATOR }))
      several.write('url_bytes_max = 300\ntitle = "Two"\n')
      expect(await reload()).toEqual({ status: 200, body: { changed: ['url_bytes_max'], needs_restart: ['title'] } })
      expect(await statusesOf(several, long)).toEqual(new Set([414]))
      several.write('url_bytes_max = 3\nlog_level = "loud"\n')
      expect(await reload()).toEqual(
        failure(422, {
          'url_bytes_max in vestal.toml, line 1': 'must be a whole number from 256 to 65536; got the number 3',
          'log_level in vestal.toml, line 2': 'must be one of debug, info, warn, error, silent; got "loud"',
        }),
      )
      expect(await statusesOf(several, long)).toEqual(new Set([414]))
      several.write('unix = "a.sock"\n')
      expect(await reload()).toEqual(
        failure(422, { unix: 'only one process can listen on a Unix socket; set processes to 1, or listen on a port' }),
      )
    },
    TEST_MS,
  )

  test(
    'replaces each of them on SIGHUP, by ones that take up what needs a restart, unless the settings are wrong',
    async () => {
      await using several = await Several.start(COUNT, 'title = "One"\n')
      const before = new Set(several.httpProcesses.values())
      several.write('url_bytes_max = 3\n')
      several.server.child.kill('SIGHUP')
      several.write('title = "Two"\nurl_bytes_max = 3\n')
      several.server.child.kill('SIGHUP')
      expect((await several.fetch('/admin/reload', { method: 'POST', headers: OPERATOR })).status).toBe(422)
      expect(new Set(several.httpProcesses.values())).toEqual(before)
      several.write('title = "Two"\n')
      several.server.child.kill('SIGHUP')
      await until(async () => ![...before].some(isRunning) && (await several.serving()) === 2)
      const answers = await Promise.all(Array.from({ length: 40 }, async () => (await several.fetch('/public/info/')).text()))
      expect(answers.filter((text) => !text.includes('"title":"Two"'))).toEqual([])
      const { code, log } = await several.stop()
      expect(code).toBe(0)
      expect(log).toContain('the settings cannot be used, so the old ones stay: url_bytes_max in vestal.toml')
      expect(log).toContain('rolling restart finished: every process was replaced')
    },
    TEST_MS,
  )

  test(
    'replaces one that was killed',
    async () => {
      await using several = await Several.start(COUNT)
      const killed = several.httpProcesses.get(1) ?? 0
      process.kill(killed, 'SIGKILL')
      await until(async () => !isRunning(killed) && (await several.serving()) === 2)
      const { code, log } = await several.stop()
      expect(code).toBe(0)
      expect(log).toContain('process 1 ended with SIGKILL; starting a replacement')
    },
    TEST_MS,
  )

  test(
    'replaces all of them where they are killed in the same moment',
    async () => {
      await using several = await Several.start(COUNT)
      const killed = [...several.httpProcesses.values()]
      // Stopped first, so that neither's end is known when the other's is.
      for (const signal of ['SIGSTOP', 'SIGKILL'] as const) for (const pid of killed) process.kill(pid, signal)
      await until(() => several.httpProcesses.size === 2 && !killed.some(isRunning))
      await until(async () => (await several.serving().catch(() => 0)) === 2)
      expect((await several.stop()).code).toBe(0)
    },
    TEST_MS,
  )

  test(
    'replaces one that is being stopped as soon as it is, while that one finishes what it has',
    async () => {
      await using several = await Several.start([...COUNT, '--shutdown-delay-seconds', '60'])
      const told = several.httpProcesses.get(2) ?? 0
      process.kill(told, 'SIGTERM')
      await until(async () => (await several.metric('vestal_process_restarts_total')) === 1 && (await several.serving()) === 2)
      expect(isRunning(told)).toBe(true)
      process.kill(told, 'SIGKILL')
      await until(() => !isRunning(told))
      expect(await several.metric('vestal_process_restarts_total')).toBe(1)
      // The delay would hold these up as well, once the supervisor is gone.
      for (const pid of several.httpProcesses.values()) process.kill(pid, 'SIGKILL')
    },
    TEST_MS,
  )

  test(
    'ends with 0 where it is stopped while its processes start',
    async () => {
      using place = new Workplace()
      const server = await place.start(COUNT, OWN)
      server.child.kill('SIGTERM')
      expect(await server.child.exited).toBe(0)
    },
    TEST_MS,
  )

  test(
    'leaves no process behind, also where it is killed itself',
    async () => {
      for (const signal of ['SIGTERM', 'SIGINT', 'SIGKILL'] as const) {
        await using several = await Several.start(COUNT)
        const pids = [...several.httpProcesses.values()]
        await several.stop(signal)
        await until(() => !pids.some(isRunning))
        expect(several.fetch('/public/info/')).rejects.toThrow()
      }
    },
    TEST_MS,
  )

  test(
    'says once what is wrong, and does not start',
    async () => {
      using place = new Workplace()
      const taken = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
      const cases: readonly (readonly [args: readonly string[], environment: Record<string, string>, message: string])[] = [
        [['--port', String(taken.port)], {}, `cannot listen on 127.0.0.1:${taken.port}`],
        [['--port', '0', '--metrics-port', String(taken.port)], {}, `port ${taken.port} on 127.0.0.1 is in use`],
        [['--unix', 'a.sock'], {}, 'unix: only one process can listen on a Unix socket'],
        [['--port', '0'], { NODE_ENV: 'production', VESTAL_SECRET: '' }, 'in production mode a key is needed'],
      ]
      for (const [args, environment, message] of cases) {
        const { exitCode, stdout, stderr } = place.run(['start', ...COUNT, ...args], { ...OWN, ...environment })
        expect([exitCode, stdout.split(message).length + stderr.split(message).length]).toEqual([2, 3])
      }
      await taken.stop(true)
      const { exitCode, stderr } = place.run(['start', '--processes', 'many'])
      expect([exitCode, stderr.trim()]).toEqual([2, '--processes: must be a whole number from 1 to 64, or auto; got "many"'])
      expect(place.run(['process', '1', '2', 'json'], OWN).stderr).toContain('is started by `vestal start --processes`')
      expect(place.run(['engine-process', 'json'], OWN).stderr).toContain('is started by `vestal start --processes`')
      expect(place.run(['--help']).stdout).not.toContain('process')
    },
    TEST_MS,
  )
})
