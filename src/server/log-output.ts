import type { Level } from '../telemetry/log/logger.ts'

/** Bytes that are buffered for a slow reader; later lines are dropped and counted. */
const PENDING_BYTES_MAX = 1024 * 1024
/** Lines are buffered this long, so that a request costs no write. */
const GATHER_MS = 20

/** Where lines go: buffered, never awaited, and limited where the reader is slow. */
export interface LogOutput {
  readonly write: (line: string, level: Exclude<Level, 'silent'>) => void
  /** Writes what is buffered. */
  readonly flush: () => Promise<void>
  /** Lines that were dropped because the reader was too slow. */
  readonly dropped: () => number
}

/** Every line goes to the standard output, for a program that reads it. */
export function createLogOutput(): LogOutput {
  const sink = Bun.stdout.writer()
  let pending = ''
  let isBusy = false
  let dropped = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  const flush = async (): Promise<void> => {
    clearTimeout(timer)
    timer = undefined
    if (isBusy || pending === '') return
    const text = pending
    pending = ''
    isBusy = true
    try {
      // A write that does not complete at once returns a promise.
      await sink.write(text)
      await sink.flush()
    } catch {
      // The reader has closed the pipe: there is nowhere to report it.
    } finally {
      isBusy = false
    }
    if (pending !== '') await flush()
  }
  return {
    write(line) {
      if (pending.length + line.length > PENDING_BYTES_MAX) {
        dropped += 1
        return
      }
      pending += `${line}\n`
      timer ??= setTimeout(() => void flush(), GATHER_MS)
    },
    flush,
    dropped: () => dropped,
  }
}

/** For people: warnings and errors on the standard error at once, the rest as it is for programs. */
export function createTerminalOutput(): LogOutput {
  const output = createLogOutput()
  return {
    ...output,
    write: (line, level) => (level === 'warn' || level === 'error' ? console.error(line) : output.write(line, level)),
  }
}
