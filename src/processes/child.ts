/** What a server does for the processes that it starts, beside the messages. */
import { readFileSync } from 'node:fs'

const PAGE_BYTES = 4096

/** The environment of a process that is to have nothing of the server's: only where its libraries are, and variables that are named. */
export function emptyEnvironment(names: readonly string[] = []): Record<string, string> {
  const entries = ['LD_LIBRARY_PATH', ...names].flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return Object.fromEntries(entries)
}

/** Bytes of memory that a process holds (resident set); undefined where the system does not say, or the process is gone. */
export function residentBytesOf(pid: number): number | undefined {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1])
    return Number.isSafeInteger(pages) ? pages * PAGE_BYTES : undefined
  } catch {
    // Gone, or another system.
    return undefined
  }
}

/** Milliseconds of a processor that a process has used; undefined where the system does not say, or the process is gone. */
export function processorMsOf(pid: number): number | undefined {
  try {
    // Behind the name, which may hold anything, user and system time are the 12th and the 13th field, in hundredths of a second.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ')
    const ticks = Number(fields?.[11]) + Number(fields?.[12])
    return Number.isSafeInteger(ticks) ? ticks * 10 : undefined
  } catch {
    // Gone, or another system.
    return undefined
  }
}
