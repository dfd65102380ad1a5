import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'

/** Makes the calling thread yield to the others of this program, where the system has a priority for each thread (Linux). */
export function yieldThread(niceness: number): void {
  try {
    // Its value is "<process>/task/<thread>".
    setPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)), niceness)
  } catch {
    // Another system, or not allowed: it competes as an equal.
  }
}
