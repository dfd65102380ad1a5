import { readdirSync, readFileSync } from 'node:fs'
import { until as waitUntil } from './until.ts'

const PROCESSES_MS = 60_000

/** Several processes can share a port on Linux only. */
export const HAS_PROCESSES = process.platform === 'linux'

/** Processes that a process started, by what they were started with. */
export function childrenOf(parent: number): readonly { readonly pid: number; readonly command: readonly string[] }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .flatMap((pid) => {
      // The name of a program may hold anything, so what comes after its last bracket is read.
      const fields = (read(`/proc/${pid}/stat`) ?? '').split(') ').at(-1)?.split(' ')
      if (Number(fields?.[1]) !== parent) return []
      return [{ pid, command: (read(`/proc/${pid}/cmdline`) ?? '').split('\0') }]
    })
}

/** Process ids of a supervisor's HTTP processes, by replica. */
export function httpProcessesOf(supervisor: number): ReadonlyMap<number, number> {
  return new Map(
    childrenOf(supervisor).flatMap(({ pid, command }) => {
      const at = command.indexOf('process')
      return at === -1 ? [] : [[Number(command[at + 1]), pid] as const]
    }),
  )
}

/** The engine process of a supervisor. */
export function engineOf(supervisor: number): number | undefined {
  return childrenOf(supervisor).find(({ command }) => command.includes('engine-process'))?.pid
}

/** True while there is a process of that id which has not ended. */
export function isRunning(pid: number): boolean {
  const state = (read(`/proc/${pid}/stat`) ?? '').split(') ').at(-1)?.split(' ')[0]
  return state !== undefined && state !== '' && state !== 'Z'
}

/** Waits for several processes, which take longer than one. */
export function until(isSo: () => boolean | Promise<boolean>, what?: string): Promise<void> {
  return waitUntil(isSo, what, PROCESSES_MS)
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
