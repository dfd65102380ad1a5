import { readdirSync, readFileSync } from 'node:fs'
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

/** Ends a server, and then whatever of its group is left. */
export async function stopGroup(child: Bun.Subprocess): Promise<void> {
  child.kill('SIGTERM')
  await Promise.race([child.exited, Bun.sleep(5000)])
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // Nothing of it is left.
  }
}

/** A port that was free a moment ago. */
export function freePort(): number {
  const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
  const { port = 0 } = server
  server.stop(true)
  return port
}

const PAGE_BYTES = 4096
/** Hundredths of a second: what Linux counts processor time in. */
const TICKS_A_SECOND = 100

/** Processor time of a process and all that it started, and these in turn, where the system tells it as Linux does. */
export function familyCpuSeconds(pid: number): number {
  return sumOfFamily(pid, (stat) => stat.cpuSeconds)
}

/** Resident memory of a process and all that it started; what they share counts for each. */
export function familyMemoryBytes(pid: number): number {
  return sumOfFamily(pid, (stat) => stat.residentBytes)
}

function sumOfFamily(pid: number, of: (stat: Stat) => number): number {
  const all = new Map<number, Stat>()
  if (statOf(pid) === undefined) return Number.NaN
  for (const entry of readdirSync('/proc')) {
    const stat = Number.isInteger(Number(entry)) ? statOf(Number(entry)) : undefined
    if (stat !== undefined) all.set(Number(entry), stat)
  }
  const isOf = (id: number, stat: Stat | undefined): boolean =>
    stat !== undefined && (id === pid || isOf(stat.parent, all.get(stat.parent)))
  return [...all].reduce((sum, [id, stat]) => (isOf(id, stat) ? sum + of(stat) : sum), 0)
}

interface Stat {
  readonly parent: number
  readonly cpuSeconds: number
  readonly residentBytes: number
}

/** What Linux tells of a process; undefined where there is none, and on other systems. */
function statOf(pid: number): Stat | undefined {
  try {
    // After the name, which may hold anything: the second field is the parent, the twelfth and thirteenth are user and system time,
    // the twenty-second is resident pages.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
    return {
      parent: Number(fields[1]),
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND,
      residentBytes: Number(fields[21]) * PAGE_BYTES,
    }
  } catch {
    // It is gone, or this is another system.
    return undefined
  }
}
