import type { Level } from '../telemetry/log/logger.ts'

/** Bytes that are buffered for a slow reader; later lines are dropped and counted. */
const PENDING_BYTES_MAX = 1024 * 1024
/** Lines are buffered this long, so that a request costs no write. */
const GATHER_MS = 20
/** Lines that may wait to be made. Made together they take a fraction of the time that each takes between two requests. */
const UNMADE_MAX = 256

/** Where lines go: buffered, never awaited, and limited where the reader is slow. */
export interface LogOutput {
  readonly write: (line: string, level: Exclude<Level, 'silent'>) => void
  /** Buffers a line that is made only when it is written, so that its request does not wait for that. */
  readonly writeLater: (make: () => string) => void
  /** Writes what is buffered. */
  readonly flush: () => Promise<void>
  /** Lines that were dropped because the reader was too slow. */
  readonly dropped: () => number
}

/** Every line goes to the standard output, for a program that reads it. */
export function createLogOutput(): LogOutput {
  const sink = Bun.stdout.writer()
  let pending = ''
  /** What makes the lines behind those in `pending`. */
  const unmade: (() => string)[] = []
  let isBusy = false
  let dropped = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  const add = (line: string) => {
    if (pending.length + line.length > PENDING_BYTES_MAX) dropped += 1
    else pending += `${line}\n`
  }
  const makeAll = () => {
    for (const make of unmade.splice(0)) add(make())
  }
  const flush = async (): Promise<void> => {
    clearTimeout(timer)
    timer = undefined
    makeAll()
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
    if (pending !== '' || unmade.length > 0) await flush()
  }
  const flushLater = () => {
    timer ??= setTimeout(() => void flush(), GATHER_MS)
  }
  return {
    write(line) {
      makeAll()
      add(line)
      flushLater()
    },
    writeLater(make) {
      unmade.push(make)
      if (unmade.length >= UNMADE_MAX) makeAll()
      flushLater()
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
