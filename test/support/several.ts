import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type StartedServer, Workplace } from './command-line.ts'
import { engineOf, httpProcessesOf, isRunning, until } from './processes.ts'
import { bearer, SECRET } from './tokens.ts'

export const OWN = { VESTAL_SECRET: SECRET, VESTAL_ACCOUNTS: 'off', VESTAL_LOAD_MODEL: 'none', VESTAL_LOG_FORMAT: 'json' }
/** Who watches the server and has it read its settings again. */
export const OPERATOR = bearer('metrics:read', 'server:reload')

/** A server of several processes that all serve. */
export class Several implements AsyncDisposable {
  readonly #place = new Workplace()
  server!: StartedServer

  static async start(
    args: readonly string[],
    toml = '',
    environment: Readonly<Record<string, string>> = OWN,
    prepare: (folder: string) => Promise<void> = async () => undefined,
  ): Promise<Several> {
    const several = new Several()
    await prepare(several.folder)
    several.write(toml)
    several.server = await several.#place.start(args, environment)
    await until(async () => (await several.serving()) === Number(args[1]))
    return several
  }

  write(toml: string): void {
    writeFileSync(join(this.#place.folder, 'vestal.toml'), toml)
  }

  get httpProcesses(): ReadonlyMap<number, number> {
    return httpProcessesOf(this.server.child.pid)
  }

  get engine(): number {
    const pid = engineOf(this.server.child.pid)
    if (pid === undefined) throw new Error('there is no engine process')
    return pid
  }

  get folder(): string {
    return this.#place.folder
  }

  /** A request on a connection of its own by default, so that any process may have it. */
  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    // A certificate of a test is its own authority.
    const tls = { rejectUnauthorized: false }
    return fetch(`${this.server.base}${path}`, { keepalive: false, ...init, tls })
  }

  async metric(name: string, labels = ''): Promise<number | undefined> {
    const text = await (await this.fetch('/metrics', { headers: OPERATOR })).text()
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
    const pids = [...this.httpProcesses.values(), ...[engineOf(this.server.child.pid)].filter((pid) => pid !== undefined)]
    this.server.child.kill('SIGKILL')
    await this.server.child.exited
    await until(() => !pids.some(isRunning))
    this.#place[Symbol.dispose]()
  }
}
