import type { Clock } from '../../core/clock.ts'
import type { DescribedModel, ModelFacts } from '../../model/execute.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import type { InstanceEnd } from '../instance/instance-process.ts'
import type { CodeSession, CodeSessionOptions, MadeBundle } from './code-session.ts'
import type { ToCode } from './messages.ts'

export interface CodeHostOptions {
  readonly clock: Clock
  readonly startSession: (on: Pick<CodeSessionOptions, 'served' | 'ended'>) => CodeSession
  /** Milliseconds that a load may take in all, and each later start of a process. */
  readonly loadMsMax: number
  readonly served: CodeSessionOptions['served']
  /** A process serves. */
  readonly ready: () => void
  /** The process that served ended; another starts after `delayMs`. */
  readonly lost: (end: InstanceEnd & { readonly delayMs: number; readonly inARow: number }) => void
  /** Called when `trouble` changes. */
  readonly changed: () => void
  readonly warn: (message: string) => void
}

/** A process that is lost is replaced after this, doubled each time in a row up to the longest. */
const [BACKOFF_MS, BACKOFF_MS_MAX] = [50, 5_000]
/** One that lasted longer than this is no more one of several in a row. */
const STEADY_MS = 10_000
/** Processes that end one after the other, without an answer between, before the version is shown as unavailable meanwhile. */
const IN_A_ROW_MAX = 8

/** Keeps a code process: loads it, and starts another where it ends, with the bundle of the load. */
export class CodeHost {
  readonly #options: CodeHostOptions
  #session: CodeSession | undefined
  #bundle: MadeBundle | undefined
  #facts: ModelFacts | undefined
  #isReady = false
  #isStopped = false
  #readyMs = 0
  #lossesInARow = 0
  #callOffRestart: () => void = () => undefined
  #callOffLimit: () => void = () => undefined
  #trouble: string | undefined

  constructor(options: CodeHostOptions) {
    this.#options = options
  }

  get isReady(): boolean {
    return this.#isReady
  }

  get trouble(): string | undefined {
    return this.#isReady ? undefined : this.#trouble
  }

  /**
   * Bundles a `model.ts` and runs it, and gives its definition. `check` sees the files that it was made of before anything of it runs.
   * @throws Error with what is wrong, by file and line
   */
  async load(entry: string, check: (sources: readonly string[]) => void): Promise<DescribedModel> {
    return this.#limited(async (session) => {
      const made = await session.bundle(entry)
      check(made.sources)
      this.#bundle = made
      return session.load(made)
    })
  }

  /** Runs `setup`; it serves then. @throws Error with what is wrong, by file and line */
  async start(facts: ModelFacts): Promise<void> {
    this.#facts = facts
    await this.#limited((session) => session.start(facts))
    this.#serves()
  }

  /** Sends to the process that serves. */
  send(header: ToCode, text?: string, tensors?: NamedTensors): void {
    this.#session?.send(header, text, tensors)
  }

  set work(requests: number) {
    if (this.#session !== undefined) this.#session.work = requests
  }

  /** Notes an answer: the next end is the first in a row. */
  answered(): void {
    this.#lossesInARow = 0
  }

  /** Ends the process and starts no other; resolves once it is gone. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#isReady = false
    this.#callOffRestart()
    this.#callOffLimit()
    const session = this.#session
    session?.kill('stopped', 'the model was stopped')
    await session?.gone
  }

  async #limited<T>(work: (session: CodeSession) => Promise<T>): Promise<T> {
    const { clock, loadMsMax } = this.#options
    if (this.#isStopped) throw new Error('the model was stopped')
    this.#session ??= this.#open()
    const session = this.#session
    this.#callOffLimit = clock.at(clock.now() + loadMsMax, () =>
      session.kill('load limit', `loading took more than ${loadMsMax / 1000} s`),
    )
    try {
      return await work(session)
    } finally {
      this.#callOffLimit()
    }
  }

  #open(): CodeSession {
    const session: CodeSession = this.#options.startSession({
      served: (frame) => {
        if (session === this.#session) this.#options.served(frame)
      },
      ended: (end) => {
        if (session === this.#session) this.#ended(end)
      },
    })
    return session
  }

  #serves(): void {
    this.#isReady = true
    this.#readyMs = this.#options.clock.now()
    this.#setTrouble(undefined)
    this.#options.ready()
  }

  #ended(end: InstanceEnd): void {
    this.#session = undefined
    if (!this.#isReady || this.#isStopped) return
    this.#isReady = false
    if (this.#options.clock.now() - this.#readyMs > STEADY_MS) this.#lossesInARow = 0
    const delayMs = this.#tryLater()
    this.#options.lost({ ...end, delayMs, inARow: this.#lossesInARow })
    if (this.#lossesInARow >= IN_A_ROW_MAX)
      this.#setTrouble(`its code process ended ${this.#lossesInARow} times in a row (${end.cause}); it is started again`)
  }

  #tryLater(): number {
    const { clock } = this.#options
    const delayMs = Math.min(BACKOFF_MS * 2 ** this.#lossesInARow, BACKOFF_MS_MAX)
    this.#lossesInARow += 1
    this.#callOffRestart = clock.at(clock.now() + delayMs, () => void this.#restart(), { keepsAlive: true })
    return delayMs
  }

  async #restart(): Promise<void> {
    const [bundle, facts] = [this.#bundle, this.#facts]
    if (this.#isStopped || bundle === undefined || facts === undefined) return
    try {
      await this.#limited(async (session) => {
        await session.load(bundle)
        await session.start(facts)
      })
      this.#serves()
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#session?.kill('stopped', 'it could not be started')
      this.#session = undefined
      if (this.#isStopped) return
      this.#options.warn(`the code process cannot be started again: ${reason}`)
      this.#tryLater()
      this.#setTrouble(reason)
    }
  }

  #setTrouble(trouble: string | undefined): void {
    if (this.#trouble === trouble) return
    this.#trouble = trouble
    this.#options.changed()
  }
}
