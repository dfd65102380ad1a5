import { onCore } from '../harness/cores.ts'

export interface StartedServer {
  readonly name: string
  readonly base: string
  readonly pid: number
  stop(): Promise<void>
}

const START_MS_MAX = 20_000

/** Starts a server that prints its port, on the core of servers. */
export async function startServer(name: string, command: readonly string[]): Promise<StartedServer> {
  const child = Bun.spawn(onCore(0, command), { stdout: 'pipe', stderr: 'inherit' })
  const stop = async () => {
    child.kill('SIGKILL')
    await child.exited
  }
  const timer = setTimeout(stop, START_MS_MAX)
  for await (const chunk of child.stdout) {
    const port = Number(new TextDecoder().decode(chunk))
    if (!(port > 0)) continue
    clearTimeout(timer)
    return { name, base: `http://127.0.0.1:${port}`, pid: child.pid, stop }
  }
  clearTimeout(timer)
  throw new Error(`the server ${name} did not start`)
}
