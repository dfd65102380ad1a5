import { setPriority } from 'node:os'
import { VestalError } from '../core/errors.ts'
import { FairQueue, type Queued } from '../core/fair-queue.ts'
import { emptyEnvironment, residentBytesOf } from './child.ts'
import { createExchangeFile, type ExchangeFile } from './exchange.ts'
import { broken, type FrameBuffer, type FrameCursor, type ReadBytes, type StoreBytes } from './frames.ts'
import { type MessageSocket, openMessageSocket } from './message-socket.ts'

export interface JobPoolOptions<Job, Answer> {
  /** The command that starts a process. */
  readonly command: readonly string[]
  /** Writes a job as a frame of a kind; `store` takes long bytes where there are exchange files. */
  readonly write: (job: Job) => { readonly kind: number; readonly write: (buffer: FrameBuffer, store: StoreBytes) => void }
  /** Reads an answer, of a process that its job may have taken over. @throws Error where its form is broken */
  readonly read: (cursor: FrameCursor, readBytes: ReadBytes) => Answer
  /** Processes at most, and with them jobs at once. */
  readonly processesMax: number
  /** Milliseconds that a job may take. */
  readonly jobMsMax: number
  /** Bytes of memory (resident set) that a process may hold. */
  readonly memoryBytesMax: number
  /** Milliseconds without a job after which a process ends. */
  readonly idleMs: number
  /** The error of a job that broke a limit or crashed its process; the text completes "the text …". */
  readonly brokenBy: (reason: string) => VestalError
  /** Whether a process ends after an answer, such as one that it cannot do jobs at all; default never. */
  readonly isLast?: (answer: Answer) => boolean
  /** Bytes of memory that a process may keep once its job is done; one that holds more is replaced. Default all. */
  readonly keptBytesMax?: number
  /** Variables of a process, beside the few that it needs; default none. */
  readonly environment?: Readonly<Record<string, string>>
  /** Whether long bytes go through files in memory, which a process has as `JOBS_FILE` and `ANSWERS_FILE`; default false: all through its socket. */
  readonly hasExchange?: boolean
  /** How much a process yields to others, from 0, the default, to 19. */
  readonly niceness?: number
  /** Called where a process ends that was not to end: `SIGSEGV`, `exit code 1`, `time limit`, `memory limit`. */
  readonly lost?: ((cause: string) => void) | undefined
}

/** Who a job is for, and how long. */
export interface JobTurn {
  /** Jobs without one share one place. */
  readonly subject?: string | undefined
  /** What it costs beside others; default 1. */
  readonly cost?: number
  /** Gives it up: it leaves the queue, or its answer is dropped. */
  readonly signal?: AbortSignal | undefined
  /** Milliseconds that waiting and working may take; default any. */
  readonly timeoutMs?: number | undefined
}

/** Processes that do jobs which may crash, hang or swell: each does one at a time, so that no other job ends with it. */
export interface JobPool<Job, Answer> {
  /**
   * Does a job once a process is free; callers limit how many wait. Subjects take turns, by what their jobs cost.
   * @throws what `brokenBy` gives; VestalError WORKER_LOST, SERVER_STOPPING, REQUEST_ABORTED, QUEUE_TIMEOUT
   */
  run(job: Job, turn?: JobTurn): Promise<Answer>
  /** Ends all processes, with what they do. */
  close(): void
}

/** Descriptors of a process: its socket, and where it has them the files of what it is given and of what it answers. */
export const [SOCKET, JOBS_FILE, ANSWERS_FILE] = [3, 4, 5]
/** Longest answer of a process, which its job may have taken over. */
const ANSWER_BYTES_MAX = 512 * 1024 * 1024
/** How often the memory of a process that works is looked at. */
const LOOK_MS = 50
const FAULTS = new Set(['SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGSEGV'])

interface Waiting<Job, Answer> extends Queued {
  readonly job: Job
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

/** Prepares processes, which start with the first jobs. */
export function createJobPool<Job, Answer>(options: JobPoolOptions<Job, Answer>): JobPool<Job, Answer> {
  const waiting = new FairQueue<Waiting<Job, Answer>>()
  const idle: JobProcess<Job, Answer>[] = []
  const all = new Set<JobProcess<Job, Answer>>()
  let isClosed = false
  const next = () => {
    while (waiting.size > 0) {
      // The one that worked last has the most of what it needs at hand.
      const free = idle.pop() ?? (all.size < options.processesMax ? start() : undefined)
      if (free === undefined) return
      const first = waiting.take()
      if (first !== undefined) free.work(first)
    }
  }
  const start = () => {
    const started = new JobProcess(options, {
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
    async run(job, { subject = '', cost = 1, signal, timeoutMs } = {}) {
      if (isClosed) throw new VestalError('SERVER_STOPPING')
      if (signal?.aborted === true) throw new VestalError('REQUEST_ABORTED')
      const { promise, resolve, reject } = Promise.withResolvers<Answer>()
      const own = { job, subject, level: 1, cost, resolve, reject }
      waiting.push(own)
      next()
      const giveUp = (error: VestalError) => {
        waiting.remove(own)
        reject(error)
      }
      const aborted = () => giveUp(new VestalError('REQUEST_ABORTED'))
      const timer = timeoutMs === undefined ? undefined : setTimeout(() => giveUp(new VestalError('QUEUE_TIMEOUT')), timeoutMs)
      signal?.addEventListener('abort', aborted, { once: true })
      try {
        return await promise
      } finally {
        clearTimeout(timer)
        signal?.removeEventListener('abort', aborted)
      }
    },
    close() {
      isClosed = true
      for (let next = waiting.take(); next !== undefined; next = waiting.take()) next.reject(new VestalError('SERVER_STOPPING'))
      for (const each of all) each.end()
    },
  }
}

interface ProcessEvents {
  readonly isFree: () => void
  readonly ended: () => void
}

/** One process, and the job that it does. */
class JobProcess<Job, Answer> {
  readonly #options: JobPoolOptions<Job, Answer>
  readonly #events: ProcessEvents
  readonly #child: Bun.Subprocess
  readonly #socket: MessageSocket
  readonly #exchange: { readonly jobs: ExchangeFile; readonly answers: ExchangeFile } | undefined
  #job: Waiting<Job, Answer> | undefined
  #deadline: Timer | undefined
  #looking: Timer | undefined
  #idle: Timer | undefined
  /** Why it was killed for its job: in a word for logs, and in words that complete "the text". */
  #broken: { readonly cause: 'time limit' | 'memory limit'; readonly reason: string } | undefined
  #isEnding = false

  constructor(options: JobPoolOptions<Job, Answer>, events: ProcessEvents) {
    this.#options = options
    this.#events = events
    this.#exchange = options.hasExchange === true ? { jobs: createExchangeFile(), answers: createExchangeFile() } : undefined
    const files = this.#exchange === undefined ? [] : [this.#exchange.jobs.descriptor, this.#exchange.answers.descriptor]
    this.#child = Bun.spawn([...options.command], {
      cwd: '/',
      env: { ...options.environment, ...emptyEnvironment() },
      stdio: ['ignore', 'ignore', 'ignore', 'socket-fd', ...files],
      onExit: (_, code, signal) => this.#ended(signal === null ? `exit code ${code}` : String(signal)),
    })
    // A job's deadline keeps this program running while there is one; nothing else does.
    this.#child.unref()
    this.#yield()
    const [, , , descriptor] = this.#child.stdio
    if (typeof descriptor !== 'number') throw new Error('a local socket is a descriptor here')
    this.#socket = openMessageSocket(
      descriptor,
      {
        keepsAlive: false,
        frame: (cursor) => this.#answered(cursor),
        closed: () => this.#child.kill('SIGKILL'),
      },
      ANSWER_BYTES_MAX,
    )
  }

  #yield(): void {
    const { niceness = 0 } = this.#options
    try {
      if (niceness > 0) setPriority(this.#child.pid, niceness)
    } catch {
      // Not allowed here, or gone already: it competes as an equal.
    }
  }

  work(job: Waiting<Job, Answer>): void {
    const { jobMsMax } = this.#options
    clearTimeout(this.#idle)
    this.#job = job
    this.#deadline = setTimeout(() => this.#break('time limit', `took more than ${jobMsMax / 1000} s`), jobMsMax)
    this.#looking = setInterval(() => this.#look(), LOOK_MS)
    const { kind, write } = this.#options.write(job.job)
    const { jobs } = this.#exchange ?? {}
    jobs?.begin()
    this.#socket.send(kind, (buffer) => write(buffer, jobs?.store ?? noStore))
  }

  end(): void {
    this.#isEnding = true
    this.#child.kill('SIGKILL')
  }

  #look(): void {
    const { memoryBytesMax } = this.#options
    if (this.#residentBytes > memoryBytesMax)
      this.#break('memory limit', `needs more than ${Math.round(memoryBytesMax / 2 ** 20)} MiB of memory`)
  }

  get #residentBytes(): number {
    return residentBytesOf(this.#child.pid) ?? 0
  }

  #break(cause: 'time limit' | 'memory limit', reason: string): void {
    this.#broken ??= { cause, reason }
    this.#child.kill('SIGKILL')
  }

  #answered(cursor: FrameCursor): void {
    if (this.#job === undefined) throw new Error('the protocol was broken: an unasked answer')
    const answer = this.#options.read(cursor, this.#exchange?.answers.readBytes ?? noFile)
    const job = this.#finish()
    this.#exchange?.jobs.release('little')
    this.#exchange?.answers.release('little')
    job?.resolve(answer)
    if (this.#isEnding || this.#broken !== undefined) return
    const { idleMs, isLast, keptBytesMax } = this.#options
    // The system is asked only where there is a limit: that takes longer than a short text.
    if (isLast?.(answer) === true || (keptBytesMax !== undefined && this.#residentBytes > keptBytesMax)) {
      this.end()
      return
    }
    this.#idle = setTimeout(() => this.end(), idleMs)
    this.#idle.unref()
    this.#events.isFree()
  }

  #finish(): Waiting<Job, Answer> | undefined {
    const job = this.#job
    this.#job = undefined
    clearTimeout(this.#deadline)
    clearInterval(this.#looking)
    return job
  }

  #ended(exit: string): void {
    clearTimeout(this.#idle)
    this.#exchange?.jobs.close()
    this.#exchange?.answers.close()
    const job = this.#finish()
    const { brokenBy, lost } = this.#options
    if (this.#broken !== undefined) job?.reject(brokenBy(this.#broken.reason))
    // A fault of native code is the job's doing, and would happen again; what else ends a process is not.
    else if (FAULTS.has(exit)) job?.reject(brokenBy('crashed what reads it'))
    else job?.reject(new VestalError(this.#isEnding ? 'SERVER_STOPPING' : 'WORKER_LOST'))
    if (!this.#isEnding) lost?.(this.#broken?.cause ?? exit)
    this.#events.ended()
  }
}

function noStore(): undefined {
  return undefined
}

const noFile: ReadBytes = () => broken('a tensor in a file, and there is none')
