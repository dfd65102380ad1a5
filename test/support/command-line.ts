import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MODELS } from './server.ts'

/** The command line's own file. */
export const MAIN = join(import.meta.dir, '../../src/cli/main.ts')

/** A folder of its own, with an environment that holds nothing of the machine's. */
export class Workplace implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'vestal-cli-'))

  environment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
    return { PATH: process.env.PATH ?? '', HOME: this.folder, VESTAL_MODELS: MODELS, ...more }
  }

  /** Runs `vestal` to its end. */
  run(args: readonly string[], environment: Readonly<Record<string, string>> = {}, input = '') {
    const { stdout, stderr, exitCode } = Bun.spawnSync([process.execPath, MAIN, ...args], {
      cwd: this.folder,
      env: this.environment(environment),
      stdin: Buffer.from(input),
    })
    return { stdout: stdout.toString(), stderr: stderr.toString(), exitCode }
  }

  /** Starts a server on a free port and gives it once it says where it listens. */
  async start(args: readonly string[] = [], environment: Readonly<Record<string, string>> = {}): Promise<StartedServer> {
    const child = Bun.spawn([process.execPath, MAIN, 'start', '--port', '0', ...args], {
      cwd: this.folder,
      env: this.environment(environment),
      stdout: 'pipe',
      stderr: 'pipe',
    })
    let output = ''
    const decoder = new TextDecoder()
    for await (const chunk of child.stdout) {
      output += decoder.decode(chunk, { stream: true })
      const base = /listens on (http:\/\/\S+),/.exec(output)?.[1]
      if (base !== undefined && (output.includes('/predict/') || output.includes('Mode:   production')))
        return { base, output, child }
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
  readonly child: Bun.Subprocess<'ignore', 'pipe', 'pipe'>
}
