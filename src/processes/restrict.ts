import { dlopen, ptr } from 'bun:ffi'
import { readFileSync, writeFileSync } from 'node:fs'

const [PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS] = [1, 38]
const SIGKILL = 9
/** Signals of native faults, by their numbers on Linux: ILL, TRAP, ABRT, BUS, FPE, SEGV. */
const FAULT_SIGNALS = [4, 5, 6, 7, 8, 11]
const SIG_DFL = null
/** Of a server's -1000 to 1000: the kernel, out of memory, ends a model before the server. */
const OOM_SCORE = '800'

/**
 * Makes this process one that a model, or a picture, may crash: it ends with its parent, at once where native code faults, and before others where
 * memory runs out. On systems other than Linux only its socket ends it.
 */
export function restrictProcess(): void {
  // Sent to all of a group, as service managers do: the server decides when its instances end.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
  if (process.platform !== 'linux') return
  try {
    writeFileSync('/proc/self/oom_score_adj', OOM_SCORE)
  } catch {
    // Not allowed here: the kernel chooses by size.
  }
  const { symbols, close } = openLibrary()
  // A group of its own, since a terminal sends its interrupts to all of a group; not a session, which the scheduler would treat as
  // another user's work.
  symbols.setpgid(0, 0)
  symbols.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
  symbols.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
  // Bun would print a report of its own crash first.
  for (const signal of FAULT_SIGNALS) symbols.signal(signal, SIG_DFL)
  close()
}

/** The resource of setrlimit(2) that is memory of a process's own, by its number on Linux. */
const RLIMIT_DATA = 2
/** What the system's limit allows beyond: ONNX Runtime takes memory in pieces that double, and does not use all of the last. */
const DATA_FACTOR = 2
const DATA_MORE_BYTES = 2 ** 30

/**
 * Has the system fail what asks for much more memory than that from now on, so that a single run cannot take it all between two looks of the
 * server. Bun reserves gigabytes from the start that it does not use, so they do not count. Only Linux does this.
 */
export function limitMemory(bytesMax: number): void {
  const reserved = process.platform === 'linux' ? reservedBytes() : undefined
  const limit = reserved === undefined ? Number.POSITIVE_INFINITY : reserved + bytesMax * DATA_FACTOR + DATA_MORE_BYTES
  if (!Number.isSafeInteger(limit)) return
  const { symbols, close } = openLibrary()
  const both = new BigUint64Array(2).fill(BigInt(limit))
  // Where it fails there was a lower limit already.
  symbols.setrlimit(RLIMIT_DATA, ptr(both))
  close()
}

/** Memory of its own that this process has the addresses of, used or not. */
function reservedBytes(): number | undefined {
  try {
    const kibibytes = Number(/^VmData:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
    return Number.isSafeInteger(kibibytes) ? kibibytes * 1024 : undefined
  } catch {
    // No /proc here: the server's looks are the limit.
    return undefined
  }
}

function openLibrary() {
  const names = ['libc.so.6', `libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`]
  for (const name of names) {
    try {
      return dlopen(name, {
        prctl: { args: ['i32', 'u64', 'u64', 'u64', 'u64'], returns: 'i32' },
        setpgid: { args: ['i32', 'i32'], returns: 'i32' },
        setrlimit: { args: ['i32', 'ptr'], returns: 'i32' },
        signal: { args: ['i32', 'ptr'], returns: 'ptr' },
      })
    } catch {
      // Another C library, perhaps: the next name is tried.
    }
  }
  throw new Error('the C library cannot be opened, so an instance would not end with its server')
}
