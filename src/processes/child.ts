/** What a server does for the processes that it starts, beside the messages. */
import { readFileSync } from 'node:fs'

const PAGE_BYTES = 4096

/** The environment of a process that is to have nothing of the server's: only where its libraries are. */
export function emptyEnvironment(): Record<string, string> {
  const { LD_LIBRARY_PATH: libraries } = process.env
  return { ...(libraries !== undefined && { LD_LIBRARY_PATH: libraries }) }
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
