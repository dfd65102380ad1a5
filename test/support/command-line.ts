import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kept, noteSecret, printed, secretsIn } from './secrets.ts'
import { MODELS } from './server.ts'
import { inTime } from './until.ts'

/** Less than the time of a test, in which a server must have started on a busy machine. */
const START_MS = 50_000

/** The command line's own file. */
export const MAIN = join(import.meta.dir, '../../src/cli/main.ts')

/** A folder of its own, with an environment that holds nothing of the machine's. */
export class Workplace implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'vestal-cli-'))
  readonly program: readonly string[]

  /** With another program than that of the source, such as an executable. */
  constructor(program: readonly string[] = [process.execPath, MAIN]) {
    this.program = program
  }

  environment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
    secretsIn(more)
    return { PATH: process.env.PATH ?? '', HOME: this.folder, VESTAL_MODELS: MODELS, VESTAL_LOG_FORMAT: 'pretty', ...more }
  }

  /** Runs `vestal` to its end. */
  run(args: readonly string[], environment: Readonly<Record<string, string>> = {}, input = '') {
    const { stdout, stderr, exitCode } = Bun.spawnSync([...this.program, ...args], {
      cwd: this.folder,
      env: this.environment(environment),
      stdin: Buffer.from(input),
    })
    const answer = { stdout: stdout.toString(), stderr: stderr.toString(), exitCode }
    // Other verbs are asked for secrets, and print them where they are asked; a fault never does.
    printed(args[0] === 'start' ? `${answer.stdout}${answer.stderr}` : answer.stderr)
    if (args[0] === 'api-keys' && args[1] === 'create') noteSecret(answer.stdout.trim())
    // A password that is refused may be a word that stands elsewhere too.
    if (args[0] === 'users' && /\S\s\S/.test(input)) noteSecret(input.trim())
    return answer
  }

  /** Starts a server on a free port and gives it once it says where it listens. */
  async start(args: readonly string[] = [], environment: Readonly<Record<string, string>> = {}): Promise<StartedServer> {
    const { server, reader } = await this.startUnread(args, environment)
    const decoder = new TextDecoder()
    const read = async () => {
      let rest = ''
      for (let chunk = await reader.read(); chunk.value !== undefined; chunk = await reader.read())
        rest += decoder.decode(chunk.value)
      printed(rest)
      return rest
    }
    return { ...server, rest: read() }
  }

  /** The same, with nobody who reads what it prints from then on. */
  async startUnread(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    const child = Bun.spawn([...this.program, 'start', '--port', '0', ...args], {
      cwd: this.folder,
      env: this.environment(environment),
      stdout: 'pipe',
      stderr: 'pipe',
    })
    Object.defineProperty(child, 'stderr', { value: kept(child.stderr) })
    let output = ''
    const decoder = new TextDecoder()
    const reader = child.stdout.getReader()
    const read = () =>
      inTime(reader.read(), `a server says where it listens; it printed ${JSON.stringify(output)}`, START_MS).catch((error) => {
        child.kill('SIGKILL')
        throw error
      })
    for (let chunk = await read(); chunk.value !== undefined; chunk = await read()) {
      output += decoder.decode(chunk.value, { stream: true })
      const base = /listens on ((?:https?:\/\/|unix:)[^\s,"]+)[,\n]/.exec(output)?.[1]
      const isWhole = /^Try, .*\n/m.test(output) || /^ {2}Mode +production/m.test(output) || output.startsWith('{')
      if (base === undefined || !isWhole) continue
      printed(output)
      return { server: { base, output, child }, reader }
    }
    throw new Error(`the server ended with ${await child.exited}: ${await new Response(child.stderr).text()}`)
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export interface StartedServer {
  readonly base: string
  /** What it printed up to then. */
  readonly output: string
  /** What it printed after that, once it has ended. */
  readonly rest: Promise<string>
  readonly child: Bun.Subprocess<'ignore', 'pipe', 'pipe'>
}
