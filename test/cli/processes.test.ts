import { describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type StartedServer, Workplace } from '../support/command-line.ts'
import { answerOf, failure } from '../support/doors.ts'
import { HAS_PROCESSES, isRunning, membersOf, until } from '../support/processes.ts'
import { bearer, SECRET } from '../support/tokens.ts'

const OWN = { VESTAL_SECRET: SECRET, VESTAL_ACCOUNTS: 'off', VESTAL_LOAD_MODEL: 'none', VESTAL_LOG_FORMAT: 'json' }
const METRICS = bearer('metrics:read', 'server:reload')

/** A server of several processes that all serve. */
class Several implements AsyncDisposable {
  readonly #place = new Workplace()
  server!: StartedServer

  static async start(args: readonly string[], toml = '', environment: Readonly<Record<string, string>> = OWN): Promise<Several> {
    const several = new Several()
    several.write(toml)
    several.server = await several.#place.start(args, environment)
    await until(async () => (await several.serving()) === Number(args[1]))
    return several
  }

  write(toml: string): void {
    writeFileSync(join(this.#place.folder, 'vestal.toml'), toml)
  }

  get members(): ReadonlyMap<number, number> {
    return membersOf(this.server.child.pid)
  }

  /** A request on a connection of its own, so that any process may have it. */
  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.server.base}${path}`, { ...init, keepalive: false })
  }

  async metric(name: string, labels = ''): Promise<number | undefined> {
    const text = await (await this.fetch('/metrics', { headers: METRICS })).text()
    const line = text.split('\n').find((other) => other.startsWith(`${name}${labels} `))
    return line === undefined ? undefined : Number(line.split(' ').at(-1))
  }

  serving(): Promise<number | undefined> {
    return this.metric('vestal_processes', '{state="serving"}')
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<{ readonly code: number; readonly log: string }> {
    this.server.child.kill(signal)
    const code = await this.server.child.exited
    return { code, log: (await this.server.rest) + (await new Response(this.server.child.stderr).text()) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const members = [...this.members.values()]
    this.server.child.kill('SIGKILL')
    await this.server.child.exited
    await until(() => !members.some(isRunning))
    this.#place[Symbol.dispose]()
  }
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
      expect([...several.members.keys()].sort()).toEqual([1, 2])
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
      const second = several.members.get(2) ?? 0
      process.kill(second, 'SIGTERM')
      await until(async () => !isRunning(second) && (await several.serving()) === 2)
      expect(await count()).toBe(40)
      expect(await several.metric('vestal_process_restarts_total')).toBe(1)
      expect(await several.metric('vestal_ready')).toBe(1)
    },
    TEST_MS,
  )

  test(
    'gives the metrics of all of them on a port of their own',
    async () => {
      await using several = await Several.start([...COUNT, '--metrics-port', '0'])
      const { code, log } = await several.stop()
      expect(code).toBe(0)
      expect(several.server.output + log).toMatch(/Metrics are at http:\/\/127\.0\.0\.1:\d+\/metrics/)
    },
    TEST_MS,
  )

  test(
    'reads the settings again in all of them, or in none',
    async () => {
      await using several = await Several.start(COUNT)
      const reload = () => answerOf(several.fetch('/admin/reload', { method: 'POST', headers: METRICS }))
      several.write('url_bytes_max = 300\ntitle = "Two"\n')
      expect(await reload()).toEqual({ status: 200, body: { changed: ['url_bytes_max'], needs_restart: ['title'] } })
      expect(await statusesOf(several, long)).toEqual(new Set([414]))
      several.write('url_bytes_max = 3\nlog_level = "loud"\n')
      expect(await reload()).toEqual(
        failure(422, {
          'url_bytes_max in vestal.toml': 'must be a whole number from 256 to 65536; got "3"',
          'log_level in vestal.toml': 'must be one of debug, info, warn, error, silent; got "loud"',
        }),
      )
      expect(await statusesOf(several, long)).toEqual(new Set([414]))
    },
    TEST_MS,
  )

  test(
    'replaces each of them on SIGHUP, by ones that take up what needs a restart, unless the settings are wrong',
    async () => {
      await using several = await Several.start(COUNT, 'title = "One"\n')
      const before = new Set(several.members.values())
      several.write('url_bytes_max = 3\n')
      several.server.child.kill('SIGHUP')
      several.write('title = "Two"\nurl_bytes_max = 3\n')
      several.server.child.kill('SIGHUP')
      expect((await several.fetch('/admin/reload', { method: 'POST', headers: METRICS })).status).toBe(422)
      expect(new Set(several.members.values())).toEqual(before)
      several.write('title = "Two"\n')
      several.server.child.kill('SIGHUP')
      await until(async () => ![...before].some(isRunning) && (await several.serving()) === 2)
      const answers = await Promise.all(Array.from({ length: 40 }, async () => (await several.fetch('/public/info/')).text()))
      expect(answers.filter((text) => !text.includes('"title":"Two"'))).toEqual([])
      const { code, log } = await several.stop()
      expect(code).toBe(0)
      expect(log).toContain('the settings cannot be used, so the old ones stay: url_bytes_max in vestal.toml')
      expect(log).toContain('every process has been replaced')
    },
    TEST_MS,
  )

  test(
    'replaces one that was killed',
    async () => {
      await using several = await Several.start(COUNT)
      const killed = several.members.get(1) ?? 0
      process.kill(killed, 'SIGKILL')
      await until(async () => !isRunning(killed) && (await several.serving()) === 2)
      const { code, log } = await several.stop()
      expect(code).toBe(0)
      expect(log).toContain('process 1 ended with SIGKILL; another takes its place')
    },
    TEST_MS,
  )

  test(
    'leaves no process behind, also where it is killed itself',
    async () => {
      for (const signal of ['SIGTERM', 'SIGINT', 'SIGKILL'] as const) {
        await using several = await Several.start(COUNT)
        const members = [...several.members.values()]
        await several.stop(signal)
        await until(() => !members.some(isRunning))
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
        [['--port', '0', '--model-control', 'explicit'], {}, 'model_control: a request to load reaches one process alone'],
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
      expect(place.run(['--help']).stdout).not.toContain('process')
    },
    TEST_MS,
  )
})
