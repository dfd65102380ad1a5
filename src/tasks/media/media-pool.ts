import { setPriority } from 'node:os'
import { extname, join } from 'node:path'
import { VestalError } from '../../core/errors.ts'
import { emptyEnvironment, residentBytesOf } from '../../processes/child.ts'
import { type MessageSocket, openMessageSocket } from '../../processes/message-socket.ts'
import { jobFrame, type MediaAnswer, type MediaJob, readAnswer } from './messages.ts'

export interface MediaPoolOptions {
  /** Processes at most, and with them jobs at once; default 2. */
  readonly processesMax?: number | undefined
  /** Milliseconds that a job may take; default 10 seconds. */
  readonly jobMsMax?: number
  /** Bytes of memory (resident set) that a process may hold; default 1 GiB. */
  readonly memoryBytesMax?: number
  /** Milliseconds without a job after which a process ends; default a minute. */
  readonly idleMs?: number
  /** The command that starts a process; default this program. */
  readonly command?: readonly string[]
  /** Called where a process ends that was not to end: `SIGSEGV`, `exit code 1`, `time limit`, `memory limit`. */
  readonly lost?: (cause: string) => void
}

/** Processes that decode what clients send, so that a picture that crashes its decoder, or never ends, harms nobody else. */
export interface MediaPool {
  /**
   * Does a job once a process is free; callers limit how many wait.
   * @throws VestalError MEDIA_UNREADABLE where it breaks a limit or its process, UNSUPPORTED where this system cannot, WORKER_LOST
   */
  run(job: MediaJob): Promise<Exclude<MediaAnswer, { kind: 'unavailable' }>>
  /** Ends all processes, with what they do. */
  close(): void
}

const PROCESSES_MAX = 2
const JOB_MS_MAX = 10_000
const MEMORY_BYTES_MAX = 1024 ** 3
const IDLE_MS = 60_000
/** How often the memory of a process that works is looked at. */
const LOOK_MS = 20
/** A process that holds more once its job is done is replaced: decoders keep what they took. */
const KEPT_BYTES = 384 * 1024 * 1024
/** Answering HTTP comes first. */
const NICENESS = 5

interface Waiting {
  readonly job: MediaJob
  readonly resolve: (answer: MediaAnswer) => void
  readonly reject: (error: unknown) => void
}

/** Prepares processes, which start with the first jobs. */
export function createMediaPool(options: MediaPoolOptions = {}): MediaPool {
  const { processesMax = PROCESSES_MAX } = options
  const waiting: Waiting[] = []
  const idle: MediaProcess[] = []
  const all = new Set<MediaProcess>()
  let isClosed = false

  const next = () => {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      const free = idle.pop() ?? (all.size < processesMax ? start() : undefined)
      if (free === undefined) return
      waiting.shift()
      free.work(first)
    }
  }
  const start = () => {
    const started = new MediaProcess(options, {
      isFree: () => {
        idle.push(started)
        next()
      },
      ended: () => {
        all.delete(started)
        const place = idle.indexOf(started)
        if (place >= 0) idle.splice(place, 1)
        next()
      },
    })
    all.add(started)
    return started
  }
  return {
    async run(job) {
      if (isClosed) throw new VestalError('SERVER_STOPPING')
      const { promise, resolve, reject } = Promise.withResolvers<MediaAnswer>()
      waiting.push({ job, resolve, reject })
      next()
      const answer = await promise
      if (answer.kind !== 'unavailable') return answer
      throw new VestalError('UNSUPPORTED', { detail: 'This server cannot decode pictures on this system', reason: answer.reason })
    },
    close() {
      isClosed = true
      for (const { reject } of waiting.splice(0)) reject(new VestalError('SERVER_STOPPING'))
      for (const each of all) each.end()
    },
  }
}

/** The command that starts a media process: this program again; an executable knows by its first argument. */
function mediaCommand(): readonly string[] {
  if (Bun.isStandaloneExecutable) return [process.execPath, 'media']
  // In the package the program has the ending of this file: .js.
  return [process.execPath, '--no-install', '--smol', join(import.meta.dir, `main${extname(import.meta.path)}`)]
}

interface ProcessEvents {
  readonly isFree: () => void
  readonly ended: () => void
}

/** One process, and the job that it does. */
class MediaProcess {
  readonly #options: MediaPoolOptions
  readonly #events: ProcessEvents
  readonly #child: Bun.Subprocess
  readonly #socket: MessageSocket
  #job: Waiting | undefined
  #deadline: Timer | undefined
  #looking: Timer | undefined
  #idle: Timer | undefined
  /** Why it was killed: in a word for logs, and in words that complete "The picture". */
  #broken: { readonly cause: 'time limit' | 'memory limit'; readonly reason: string } | undefined
  #isEnding = false

  constructor(options: MediaPoolOptions, events: ProcessEvents) {
    this.#options = options
    this.#events = events
    this.#child = Bun.spawn([...(options.command ?? mediaCommand())], {
      cwd: '/',
      env: emptyEnvironment(),
      stdio: ['ignore', 'ignore', 'ignore', 'socket-fd'],
      onExit: (_, code, signal) => this.#ended(signal === null ? `exit code ${code}` : String(signal)),
    })
    const [, , , descriptor] = this.#child.stdio
    if (typeof descriptor !== 'number') throw new Error('a local socket is a descriptor here')
    this.#socket = openMessageSocket(descriptor, {
      frame: (cursor) => this.#answered(readAnswer(cursor)),
      closed: () => this.#child.kill('SIGKILL'),
    })
    try {
      setPriority(this.#child.pid, NICENESS)
    } catch {
      // Not allowed here, or gone already: it competes as an equal.
    }
  }

  work(job: Waiting): void {
    const { jobMsMax = JOB_MS_MAX } = this.#options
    clearTimeout(this.#idle)
    this.#job = job
    this.#deadline = setTimeout(() => this.#break('time limit', `took more than ${jobMsMax / 1000} s to decode`), jobMsMax)
    this.#looking = setInterval(() => this.#look(), LOOK_MS)
    const { kind, write } = jobFrame(job.job)
    this.#socket.send(kind, write)
  }

  end(): void {
    this.#isEnding = true
    this.#child.kill('SIGKILL')
  }

  #look(): void {
    const { memoryBytesMax = MEMORY_BYTES_MAX } = this.#options
    if ((residentBytesOf(this.#child.pid) ?? 0) > memoryBytesMax)
      this.#break('memory limit', `needs more than ${Math.round(memoryBytesMax / 2 ** 20)} MiB to decode`)
  }

  #break(cause: 'time limit' | 'memory limit', reason: string): void {
    this.#broken ??= { cause, reason }
    this.#child.kill('SIGKILL')
  }

  #answered(answer: MediaAnswer): void {
    const job = this.#finish()
    if (job === undefined) throw new Error('the protocol was broken: an unasked answer')
    job.resolve(answer)
    if (this.#isEnding || this.#broken !== undefined) return
    const { idleMs = IDLE_MS } = this.#options
    if (answer.kind === 'unavailable' || (residentBytesOf(this.#child.pid) ?? 0) > KEPT_BYTES) {
      this.end()
      return
    }
    this.#idle = setTimeout(() => this.end(), idleMs)
    this.#idle.unref()
    this.#events.isFree()
  }

  #finish(): Waiting | undefined {
    const job = this.#job
    this.#job = undefined
    clearTimeout(this.#deadline)
    clearInterval(this.#looking)
    return job
  }

  #ended(exit: string): void {
    clearTimeout(this.#idle)
    const job = this.#finish()
    if (this.#broken !== undefined) job?.reject(unreadable(this.#broken.reason))
    // A fault of native code is the picture's doing, and would happen again; what else ends a process is not.
    else if (FAULTS.has(exit)) job?.reject(unreadable('crashed its decoder'))
    else job?.reject(new VestalError(this.#isEnding ? 'SERVER_STOPPING' : 'WORKER_LOST'))
    if (!this.#isEnding) this.#options.lost?.(this.#broken?.cause ?? exit)
    this.#events.ended()
  }
}

const FAULTS = new Set(['SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGSEGV'])

function unreadable(reason: string): VestalError {
  return new VestalError('MEDIA_UNREADABLE', { detail: `The picture ${reason}`, reason })
}
