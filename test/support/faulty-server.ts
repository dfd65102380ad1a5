import { signJwt } from '../../src/index.ts'
import { type StartedServer, Workplace } from './command-line.ts'
import { noteSecret } from './secrets.ts'
import { SECRET } from './tokens.ts'

/** A password that every rule allows. */
export const PASSWORD = noteSecret('four words and a half')
/** How long an answer may take before it counts as none: nothing here should take a third of it. */
const ANSWER_MS_MAX = 60_000

/** A server with one account, to do harm to what it stands on. */
export class FaultyServer implements AsyncDisposable {
  readonly server: StartedServer
  readonly #place: Workplace

  private constructor(place: Workplace, server: StartedServer) {
    this.#place = place
    this.server = server
  }

  /** Makes the account `ada` and starts a server. */
  static async start(environment: Readonly<Record<string, string>>, flags: readonly string[] = []): Promise<FaultyServer> {
    const place = new Workplace()
    const all = { VESTAL_SECRET: SECRET, VESTAL_PASSWORD_MEMORY_KIB: '7168', VESTAL_LOG_LEVEL: 'info', ...environment }
    const { exitCode, stderr } = place.run(['users', 'add', 'ada', '--role', 'analyst'], all, PASSWORD)
    if (exitCode !== 0) throw new Error(`the account was not made: ${stderr}`)
    return new FaultyServer(place, await place.start(flags, all))
  }

  /** Asks, and fails where there is no answer. */
  async ask(path: string, init: RequestInit = {}): Promise<{ readonly status: number; readonly text: string }> {
    const response = await fetch(`${this.server.base}${path}`, { signal: AbortSignal.timeout(ANSWER_MS_MAX), ...init })
    return { status: response.status, text: await response.text() }
  }

  async signIn(name = 'ada'): Promise<number> {
    const body = JSON.stringify({ name, password: PASSWORD })
    return (await this.ask('/auth/', { method: 'POST', body })).status
  }

  /** Predicts with a token that nobody has to be asked for. */
  async predict(subject = 'robot'): Promise<number> {
    const token = signJwt({ sub: subject, iat: 1_700_000_000, exp: 2e9, data: { permissions: ['*'] } }, SECRET)
    const init = { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: '{"input":[[5.1,3.5,1.4,0.2]]}' }
    return (await this.ask('/models/iris/predict/', init)).status
  }

  /** Value of a metric that has no labels, or the sum of those whose labels hold this text. */
  async metric(name: string, labels = ''): Promise<number> {
    const token = signJwt({ sub: 'prometheus', iat: 1_700_000_000, exp: 2e9, data: { permissions: ['metrics:read'] } }, SECRET)
    const { text } = await this.ask('/metrics', { headers: { authorization: `Bearer ${token}` } })
    const lines = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    return lines.filter((line) => line.includes(labels)).reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
  }

  /** Requests that met a bug of ours, up to now. */
  bugs(): Promise<number> {
    return this.metric('vestal_http_rejections_total', 'reason="INTERNAL"')
  }

  /** Tells it to stop, and gives its exit code and all that it printed. */
  async stop(): Promise<{ readonly code: number; readonly output: string }> {
    const { child, output, rest } = this.server
    child.kill('SIGTERM')
    const errors = new Response(child.stderr).text()
    return { code: await child.exited, output: `${output}${await rest}${await errors}` }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.child.kill('SIGKILL')
    await this.server.child.exited
    this.#place[Symbol.dispose]()
  }
}
