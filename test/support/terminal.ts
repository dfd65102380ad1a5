import { connect } from 'node:net'
import { join } from 'node:path'
import { until } from './until.ts'

/** Less than the time of a test: a command of a page that takes longer hangs. */
const COMMAND_MS = 60_000

/** Terminals of somebody who reads a page: one in which its commands run in order, and one for each that keeps running. */
export class Terminals implements AsyncDisposable {
  readonly #folder: string
  readonly #environment: Readonly<Record<string, string>>
  readonly #shell: Bun.Subprocess<'pipe', 'pipe', 'pipe'>
  readonly #running = new Map<number, Bun.Subprocess<'ignore', 'pipe', 'pipe'>>()
  #printed = ''
  #errors = ''
  #commands = 0

  constructor(folder: string, environment: Readonly<Record<string, string>>) {
    this.#folder = folder
    this.#environment = environment
    this.#shell = Bun.spawn(['bash'], { cwd: folder, env: environment, stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' })
    void this.#keep(this.#shell.stdout, (text) => {
      this.#printed += text
    })
    void this.#keep(this.#shell.stderr, (text) => {
      this.#errors += text
    })
  }

  /**
   * Runs a block to its end, in the shell of the blocks before it, and gives what it printed. What is typed goes to the first command that reads it.
   * @throws Error where a command fails
   */
  async run(block: string, typed = ''): Promise<string> {
    this.#commands += 1
    const [file, end] = [join(this.#folder, `.block-${this.#commands}.sh`), `\n~end of ${this.#commands}~`]
    await Bun.write(file, block)
    await Bun.write(`${file}.typed`, `${typed}\n`)
    const before = this.#printed.length
    // The shell ends with the first command that fails, and reads its own commands from the standard input.
    this.#shell.stdin.write(`set -euo pipefail; . '${file}' < '${file}.typed'; set +eu; printf '%s' '${end}'\n`)
    this.#shell.stdin.flush()
    const isOver = () => this.#printed.endsWith(end) || this.#shell.exitCode !== null
    await until(isOver, `this ends:\n${block}`, COMMAND_MS).catch((error) => {
      throw new Error(`${error}\n${this.#errors}`)
    })
    if (!this.#printed.endsWith(end))
      throw new Error(`exit code ${this.#shell.exitCode}\n${this.#printed.slice(before)}\n${this.#errors}`)
    return this.#printed.slice(before, -end.length)
  }

  /** Starts a block that keeps running, and waits until it listens. What listened there before is stopped. */
  async keepRunning(block: string, port: number): Promise<void> {
    await this.#stop(port)
    let output = ''
    const child = Bun.spawn(['bash', '-c', block.trim()], {
      cwd: this.#folder,
      env: this.#environment,
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      // A group of its own, which is stopped as a whole.
      detached: true,
    })
    const read = [child.stdout, child.stderr].map((stream) =>
      this.#keep(stream, (text) => {
        output += text
      }),
    )
    this.#running.set(port, child)
    const isUp = async () => child.exitCode !== null || (await listens(port))
    await until(isUp, `this listens on port ${port}:\n${block}`, COMMAND_MS).catch((error) => {
      throw new Error(`${error}\n${output}`)
    })
    if (child.exitCode === null) return
    await Promise.all(read)
    throw new Error(`exit code ${child.exitCode}\n${output}`)
  }

  async #keep(stream: ReadableStream<Uint8Array>, add: (text: string) => void): Promise<void> {
    const decoder = new TextDecoder()
    for await (const chunk of stream) add(decoder.decode(chunk, { stream: true }))
  }

  async #stop(port: number): Promise<void> {
    const child = this.#running.get(port)
    this.#running.delete(port)
    if (child === undefined) return
    signal(child.pid, 'SIGTERM')
    await until(() => !signal(child.pid, 0), `what runs on port ${port} ends`).catch(() => signal(child.pid, 'SIGKILL'))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#shell.kill()
    for (const port of [...this.#running.keys()]) await this.#stop(port)
    await this.#shell.exited
  }
}

/** Signals a group of processes; false where it has none any more. */
function signal(group: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, name)
  } catch {
    // ESRCH: the group has ended.
    return false
  }
}

function listens(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect({ port, host: '127.0.0.1' })
  socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
  return promise.finally(() => socket.destroy())
}
