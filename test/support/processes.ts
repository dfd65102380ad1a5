import { readdirSync, readFileSync } from 'node:fs'

/** Several processes share a port on Linux alone. */
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

/** The processes of a supervisor, by their numbers. */
export function membersOf(supervisor: number): ReadonlyMap<number, number> {
  return new Map(
    childrenOf(supervisor).flatMap(({ pid, command }) => {
      const at = command.indexOf('process')
      return at === -1 ? [] : [[Number(command[at + 1]), pid] as const]
    }),
  )
}

/** True while there is a process of that id which has not ended. */
export function isRunning(pid: number): boolean {
  const state = (read(`/proc/${pid}/stat`) ?? '').split(') ').at(-1)?.split(' ')[0]
  return state !== undefined && state !== '' && state !== 'Z'
}

/** Between two looks, so that what is waited for gets the processor. */
const POLL_MS = 5

/** Asks again and again until the answer is yes; the test's own time limit ends it otherwise. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await Bun.sleep(POLL_MS)
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
