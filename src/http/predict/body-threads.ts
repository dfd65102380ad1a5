import { extname, join } from 'node:path'
import { VestalError } from '../../core/errors.ts'
import { usableCores } from '../../platform/cores.ts'
import { createTurns } from '../turns.ts'
import { type BodyJob, type ReadJob, sentJob, type ThreadMessage, type WriteJob } from './body-job.ts'
import type { Question } from './codec.ts'

export interface BodyThreadsOptions {
  /** Threads at most, and with them bodies that are read at once; default one less than there are cores, from 1 to 4. */
  readonly threadsMax?: number
  /** Milliseconds that reading a body may take; default a minute. */
  readonly jobMsMax?: number
  /** Milliseconds without a body after which a thread ends; default a minute. */
  readonly idleMs?: number
  /** The program of a thread; default that of this package. */
  readonly program?: string
  /** Called where a thread ends that was not to end, or cannot start. */
  readonly lost?: ((cause: string) => void) | undefined
}

/** Who sent a body. */
export interface BodySender {
  /** The key of the principal: senders take turns. */
  readonly subject: string
  /** Throws where the client has gone or its deadline has passed; asked when the body's turn comes. */
  readonly check: () => void
}

/** Reads large bodies, and writes large answers, on other threads than the one that answers, which has other requests to answer meanwhile. */
export interface BodyThreads {
  /**
   * Reads a body, whose memory goes to the thread. Undefined where threads cannot be started, or are closed: the body is to be read here then.
   * @throws VestalError as the codec; SUBJECT_LIMIT, QUEUE_FULL where too many wait; WORKER_LOST
   */
  read(job: ReadJob, sender: BodySender): Promise<Question<unknown> | undefined>
  /**
   * Writes an answer as JSON. Undefined as for `read`.
   * @throws VestalError as `read`
   */
  write(job: WriteJob, sender: BodySender): Promise<Uint8Array<ArrayBuffer> | undefined>
  /** Ends the threads, each once it has read its body. */
  close(): void
}

const THREADS_MAX = Math.min(4, Math.max(1, usableCores() - 1))
const JOB_MS_MAX = 60_000
const IDLE_MS = 60_000
/** Bodies that wait for their turn, of all principals and of one. They are charged as received. */
const WAITING_MAX = 1024
const PRINCIPAL_WAITING_MAX = 128

/** Prepares threads, which start with the first bodies. */
export function createBodyThreads(options: BodyThreadsOptions = {}): BodyThreads {
  const { threadsMax = THREADS_MAX, idleMs = IDLE_MS, program = threadProgram(), lost } = options
  const turns = createTurns({ atOnceMax: threadsMax, waitingMax: WAITING_MAX, principalWaitingMax: PRINCIPAL_WAITING_MAX })
  const idle: BodyThread[] = []
  const all = new Set<BodyThread>()
  let isClosed = false
  let canStart = true
  const start = () => {
    const started = new BodyThread(program, (cause) => {
      all.delete(started)
      const place = idle.indexOf(started)
      if (place >= 0) idle.splice(place, 1)
      if (!started.hasStarted) canStart = false
      if (cause !== undefined) lost?.(cause)
    })
    all.add(started)
    return started
  }
  const doNow = async (job: BodyJob): Promise<ThreadMessage | undefined> => {
    const thread = idle.pop() ?? start()
    if (!(await thread.started)) return undefined
    const answer = await thread.run(job, options.jobMsMax ?? JOB_MS_MAX)
    if (isClosed) thread.end()
    else {
      idle.push(thread)
      thread.endAfter(idleMs)
    }
    return checked(answer)
  }
  const run = (job: BodyJob, { subject, check }: BodySender) =>
    turns.run(subject, async () => {
      check()
      return canStart && !isClosed ? doNow(job) : undefined
    })
  return {
    async read(job, sender) {
      const answer = await run(job, sender)
      return answer?.kind === 'read' ? answer.question : undefined
    },
    async write(job, sender) {
      const answer = await run(job, sender)
      return answer?.kind === 'written' ? answer.json : undefined
    },
    close() {
      isClosed = true
      for (const each of idle) each.end()
    },
  }
}

function checked(answer: ThreadMessage): ThreadMessage {
  if (answer.kind === 'rejected') throw new VestalError(answer.code, answer.options)
  if (answer.kind === 'failed') throw answer.error
  return answer
}

/** One thread, and the body that it reads. */
class BodyThread {
  readonly #worker: Worker
  readonly #started = Promise.withResolvers<boolean>()
  #job: PromiseWithResolvers<ThreadMessage> | undefined
  #timer: Timer | undefined
  #isEnding = false
  #cause = 'it ended'
  hasStarted = false

  /** @param ended called once it has ended, with the cause where it was not to */
  constructor(program: string, ended: (cause: string | undefined) => void) {
    // It needs nothing of the environment.
    this.#worker = new Worker(program, { name: 'vestal bodies', env: {}, smol: true })
    // A request keeps this program running while it is worked on; a thread never does.
    this.#worker.unref()
    this.#worker.addEventListener('message', ({ data }: MessageEvent<ThreadMessage>) => this.#said(data))
    this.#worker.addEventListener('error', ({ message }) => {
      this.#cause = message
    })
    this.#worker.addEventListener('close', () => {
      clearTimeout(this.#timer)
      ended(this.#isEnding ? undefined : this.#cause)
      this.#started.resolve(false)
      this.#job?.reject(
        new VestalError('WORKER_LOST', {
          detail: 'The thread that read this request, or wrote its answer, stopped; send it again',
        }),
      )
    })
  }

  /** True once it has started, false where it cannot. */
  get started(): Promise<boolean> {
    return this.#started.promise
  }

  run(job: BodyJob, msMax: number): Promise<ThreadMessage> {
    clearTimeout(this.#timer)
    this.#job = Promise.withResolvers()
    this.#timer = setTimeout(() => {
      this.#cause = `a body took more than ${msMax / 1000} s`
      this.#worker.terminate()
    }, msMax)
    const { message, transfer } = sentJob(job)
    this.#worker.postMessage(message, [...transfer])
    return this.#job.promise
  }

  endAfter(ms: number): void {
    this.#timer = setTimeout(() => this.end(), ms)
    this.#timer.unref()
  }

  end(): void {
    this.#isEnding = true
    this.#worker.terminate()
  }

  #said(message: ThreadMessage): void {
    if (message.kind === 'started') {
      this.hasStarted = true
      this.#started.resolve(true)
      return
    }
    clearTimeout(this.#timer)
    this.#job?.resolve(message)
    this.#job = undefined
  }
}

/** The program of a thread: an executable is its own, and knows by the thread that it is on. */
function threadProgram(): string {
  if (Bun.isStandaloneExecutable) return Bun.main
  // In the package it has the ending of this file: .js.
  return join(import.meta.dir, `body-thread${extname(import.meta.path)}`)
}
