import type { Clock } from '../../core/clock.ts'
import type { DescribedModel, ModelFacts } from '../../model/execute.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import type { InstanceEnd } from '../instance/instance-process.ts'
import type { CodeEvents, CodeProcess } from './code-process.ts'
import { readFromCode } from './from-code.ts'
import type { BundleFacts, CodeFrame, FromCode, ToCode } from './messages.ts'

/** A bundle of code, and the files that it was made of. */
export interface MadeBundle {
  readonly text: string
  readonly facts: BundleFacts
  readonly sources: readonly string[]
}

/** What a process that serves sends. */
export type ServedMessage = Extract<FromCode, { kind: 'answer' | 'failed' | 'run' | 'call' | 'tokenizer' }>

export interface CodeSessionOptions {
  readonly clock: Clock
  readonly startProcess: (events: CodeEvents) => CodeProcess
  /** A process that does not answer a ping for so long is killed. */
  readonly hangMs: number
  /** Memory that it may hold. */
  readonly memoryBytesMax: number
  /** What it sends while it serves. */
  readonly served: (frame: CodeFrame<ServedMessage>) => void
  /** A line of its console, or of its errors. */
  readonly log: (text: string) => void
  readonly ended: (end: InstanceEnd) => void
}

const REASON_LENGTH_MAX = 4000
/** How often a process is looked after that works, and one that does not. */
const [BUSY_LOOK_MS, IDLE_LOOK_MS] = [100, 2000]
/** While it is loaded, so many times the time without an answer is allowed: code may read its data in one piece. */
const LOAD_PATIENCE = 10
/** A process that got no time of a processor does not hang: it has so many times as long. */
const STARVED_PATIENCE = 10
/** Of the time without an answer, what it must have computed to be thought to hang. */
const BUSY_SHARE = 0.5

/** One code process: its load step by step, and its supervision. */
export class CodeSession {
  readonly #options: CodeSessionOptions
  readonly #process: CodeProcess
  #expected:
    | { readonly kind: FromCode['kind']; readonly take: (frame: CodeFrame<never>) => void; readonly fail: (error: Error) => void }
    | undefined
  #isServing = false
  #isEnded = false
  #work = 0
  #pings = 0
  /** The ping that is not answered. */
  #ping: { readonly number: number; readonly sentMs: number; readonly processorMs: number | undefined } | undefined
  #lookedMs = 0
  #callOff: () => void = () => undefined

  constructor(options: CodeSessionOptions) {
    this.#options = options
    this.#process = options.startProcess({ frame: (frame) => this.#take(frame), ended: (end) => this.#ended(end) })
    this.#look()
  }

  /** Bundles a `model.ts`. @throws Error with what is wrong, by file and line */
  async bundle(entry: string): Promise<MadeBundle> {
    const { header, text } = await this.#step<'bundled'>('bundled', { kind: 'bundle', entry })
    return { text, facts: header.bundle, sources: header.sources }
  }

  /** Runs a bundle, and gives its definition. @throws Error with what is wrong, by file and line */
  async load({ text, facts }: Pick<MadeBundle, 'text' | 'facts'>): Promise<DescribedModel> {
    const { header } = await this.#step<'described'>('described', { kind: 'load', bundle: facts }, text)
    return header.model
  }

  /** Runs `setup`; it serves then. @throws Error with what is wrong, by file and line */
  async start(facts: ModelFacts): Promise<void> {
    await this.#step<'ready'>('ready', { kind: 'start', ...facts })
    this.#isServing = true
  }

  send(header: ToCode, text?: string, tensors?: NamedTensors): void {
    if (!this.#isEnded) this.#process.send(header, text, tensors)
  }

  /** Notes how many requests it has: while it has some it is looked after more closely. */
  set work(requests: number) {
    const begins = this.#work === 0 && requests > 0
    this.#work = requests
    if (begins) this.#look()
  }

  kill: CodeProcess['kill'] = (label, cause) => this.#process.kill(label, cause)

  get gone(): Promise<void> {
    return this.#process.gone
  }

  #step<Kind extends 'bundled' | 'described' | 'ready'>(
    kind: Kind,
    message: ToCode,
    text?: string,
  ): Promise<CodeFrame<Extract<FromCode, { kind: Kind }>>> {
    const { promise, resolve, reject } = Promise.withResolvers<CodeFrame<Extract<FromCode, { kind: Kind }>>>()
    // The cast: what comes is of the kind that is expected.
    this.#expected = { kind, take: resolve as (frame: CodeFrame<never>) => void, fail: reject }
    if (this.#isEnded) this.#fail('the code process ended')
    else this.send(message, text)
    return promise
  }

  #take({ header: unchecked, text, tensors }: CodeFrame<unknown>): void {
    const header = readFromCode(unchecked)
    switch (header.kind) {
      case 'pong':
        if (header.number === this.#ping?.number) this.#ping = undefined
        break
      case 'log':
        this.#options.log(header.text)
        break
      case 'run':
      case 'call':
      case 'tokenizer':
        this.#options.served({ header, text, tensors })
        break
      case 'answer':
      case 'failed':
        if (!this.#isServing) throw new Error('the protocol was broken: an answer before it serves')
        this.#options.served({ header, text, tensors })
        break
      case 'rejected':
        this.#fail(header.reason.slice(0, REASON_LENGTH_MAX))
        break
      default:
        this.#took({ header, text, tensors })
    }
  }

  #took(frame: CodeFrame<FromCode>): void {
    const expected = this.#expected
    const { kind } = frame.header
    if (expected?.kind !== kind) throw new Error(`the protocol was broken: "${kind}" was not asked for`)
    this.#expected = undefined
    expected.take(frame as CodeFrame<never>)
  }

  #fail(reason: string): void {
    const expected = this.#expected
    this.#expected = undefined
    expected?.fail(new Error(reason))
  }

  #ended(end: InstanceEnd): void {
    this.#isEnded = true
    this.#callOff()
    this.#fail(`model.ts: its process ended before the model was loaded: ${end.cause}`)
    this.#options.ended(end)
  }

  /** Pings it, and looks at its answers and its memory. */
  #look(): void {
    this.#callOff()
    if (this.#isEnded) return
    const { clock } = this.#options
    const nowMs = clock.now()
    const isBusy = this.#work > 0 || !this.#isServing
    // Where this process itself was late, the answer may lie unread in its socket.
    const isLate = nowMs - this.#lookedMs > BUSY_LOOK_MS * 3 && this.#ping !== undefined && isBusy
    this.#lookedMs = nowMs
    if (!isLate) this.#checkPing(nowMs)
    this.#checkMemory()
    const isAnswered = this.#ping === undefined
    if (isAnswered) {
      this.#pings += 1
      this.#ping = { number: this.#pings, sentMs: nowMs, processorMs: this.#process.processorMs() }
      this.send({ kind: 'ping', number: this.#pings })
    }
    // While it answers and has no work, the ping of this look is read at the next.
    this.#callOff = clock.at(nowMs + (isBusy || !isAnswered ? BUSY_LOOK_MS : IDLE_LOOK_MS), () => this.#look())
  }

  #checkPing(nowMs: number): void {
    const ping = this.#ping
    const limitMs = this.#options.hangMs * (this.#isServing ? 1 : LOAD_PATIENCE)
    if (ping === undefined || nowMs - ping.sentMs < limitMs) return
    const usedMs = (this.#process.processorMs() ?? Number.POSITIVE_INFINITY) - (ping.processorMs ?? 0)
    if (usedMs < limitMs * BUSY_SHARE && nowMs - ping.sentMs < limitMs * STARVED_PATIENCE) return
    const most = this.#isServing ? `${limitMs} ms` : `${limitMs} ms while it is loaded`
    this.kill('hang', `it computed for ${Math.round(nowMs - ping.sentMs)} ms without a pause; [code] hang_ms allows ${most}`)
  }

  #checkMemory(): void {
    const { memoryBytesMax } = this.#options
    const bytes = this.#process.residentBytes() ?? 0
    if (bytes <= memoryBytesMax) return
    const [held, most] = [bytes, memoryBytesMax].map((each) => Math.round(each / 1024 / 1024))
    this.kill('memory limit', `it held ${held} MiB of memory, more than ${most} MiB`)
  }
}
