import { readFileSync } from 'node:fs'
import { onCore } from '../harness/cores.ts'

export interface StartedServer {
  readonly name: string
  readonly base: string
  readonly pid: number
  stop(): Promise<void>
}

const START_MS_MAX = 20_000

/** Starts a server that prints its port, on the core of servers. */
export function startServer(name: string, command: readonly string[]): Promise<StartedServer> {
  return startUnpinned(name, onCore(0, command))
}

/** Starts a server that prints its port, on all cores. */
export async function startUnpinned(name: string, command: readonly string[]): Promise<StartedServer> {
  const child = Bun.spawn([...command], { stdout: 'pipe', stderr: 'inherit' })
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

/** Hundredths of a second: what Linux counts processor time in. */
const TICKS_A_SECOND = 100

/** Processor time that a process has taken so far, where the system tells it as Linux does. */
export function cpuSeconds(pid: number): number {
  try {
    // After the name, which may hold anything, the twelfth and thirteenth field: user and system time.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
  } catch {
    // Another system: the figure is told as not a number.
    return Number.NaN
  }
}
