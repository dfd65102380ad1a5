import type { Clock } from '../../core/clock.ts'
import { type ErrorDetail, VestalError } from '../../core/errors.ts'
import type { DescribedModel, FileFacts, ModelFacts } from '../../model/execute.ts'
import type { DescribedValue } from '../../model/schema.ts'
import { folderLabels } from '../../tasks/folder/folder-labels.ts'
import type { TaskTables } from '../../tasks/folder/task-tables.ts'
import { ELEMENTS_MAX } from '../../tensor/shape.ts'
import type { NamedTensors, Tensor, TensorSpec } from '../../tensor/tensor.ts'
import { bytesOf, checkInputs } from '../batches.ts'
import type { InferOptions } from '../engine.ts'
import type { ModelSettings } from '../model-settings.ts'
import type { Admission } from '../queue/admission.ts'
import type { Instance, JobTimes, Outcome } from '../queue/job.ts'
import { Scheduler } from '../queue/scheduler.ts'
import { type EngineDefaults, resolveSettings } from '../resolve-settings.ts'
import type { ModelLoss, ModelRunner, StartRunner } from '../runner.ts'
import { ModelCounters } from '../statistics.ts'
import { type CodeCalls, troubleOf } from './calls.ts'
import { type AskingRequest, type AskMessage, CodeAsks } from './code-asks.ts'
import { CodeHost } from './code-host.ts'
import { CodeLog } from './code-log.ts'
import type { StartCodeProcess } from './code-process.ts'
import { CodeSession, type ServedMessage } from './code-session.ts'
import type { CodeSettings } from './code-settings.ts'
import { type CodeTokenizer, codeTokenizerIn, NO_TOKENIZER } from './code-tokenizer.ts'
import { nextOf, STREAM, streamOf } from './code-values.ts'
import type { CodeFailure, CodeFrame } from './messages.ts'
import { checkEntry, checkSources, fileInside } from './sources.ts'

/** A `model.ts` to serve. */
export interface CodeSource {
  readonly name: string
  readonly version: string
  /** Folder of the model, and its `model.ts`. */
  readonly folder: string
  readonly entry: string
  /** The file that counts where the definition names none, as a path inside the folder; absent where there is none. */
  readonly file?: string
  readonly code: CodeSettings
  readonly settings: ModelSettings
  /** Labels of model.toml, by output. */
  readonly labels: ReadonlyMap<string, readonly string[]>
  /** What model.toml says of texts. */
  readonly tasks?: TaskTables
  readonly counters: ModelCounters
  readonly signal?: AbortSignal
  readonly changed: () => void
  readonly engine: CodeCalls
}

export interface CodeRunnerOptions extends EngineDefaults {
  readonly clock: Clock
  readonly startRunner: StartRunner
  readonly startProcess: StartCodeProcess
  /** Limits of the requests that are in code: their runs and calls count as all others do. */
  readonly admission: Admission
  readonly loadMsMax: number
  readonly warn: (message: string) => void
  readonly lost?: ((loss: ModelLoss) => void) | undefined
}

/** A served `model.ts`. */
export interface CodeRunner extends ModelRunner {
  readonly description: DescribedModel
}

export type StartCode = (source: CodeSource) => Promise<CodeRunner>

/** Requests that are in the functions of one model at once, where its definition does not say. */
const AT_ONCE = 32
/** How long a request that was given up keeps its place, while its functions notice. */
const GRACE_MS = 5_000

/** How long a stream waits for the next question. */
const STREAM_IDLE_MS = 30_000
/** Streams of one model at once. */
const STREAMS_MAX = 256
/** Of these, streams of one caller. */
const SUBJECT_STREAMS_MAX = 64

/** Outputs that are asked for one by one. */
interface OutputStream {
  readonly name: string
  readonly subject: string | undefined
  /** Of its request, once that is with the code. */
  id?: number
  isBusy: boolean
  callOffIdle: () => void
}

/** One input, as the code gets it, with how it is computed. */
interface CodeInput {
  readonly stream?: OutputStream
  readonly text: string
  readonly tensors: NamedTensors
  readonly asked: InferOptions
}
type CodeOutput = { readonly text: string } | { readonly tensor: Tensor } | { readonly isEnd: true }

/** Gives what starts a `model.ts` with these options. */
export function createStartCode(options: CodeRunnerOptions): StartCode {
  return async (source) => {
    const runner = new RunningCode(source, options)
    const giveUp = () => void runner.stop()
    source.signal?.addEventListener('abort', giveUp)
    try {
      await runner.start()
      return runner
    } catch (error) {
      await runner.stop()
      throw error
    } finally {
      source.signal?.removeEventListener('abort', giveUp)
    }
  }
}

/** A request that is with the code. */
interface RunningRequest extends AskingRequest {
  readonly input: CodeInput
  settle: (outcome: Outcome<CodeOutput>) => void
  begunNs: number
  /** Ends its timer and its listener. */
  forget: () => void
}

class RunningCode implements CodeRunner {
  readonly #source: CodeSource
  readonly #options: CodeRunnerOptions
  readonly #key: string
  readonly #log: CodeLog
  readonly #host: CodeHost
  readonly #files = new Map<string, ModelRunner>()
  readonly #requests = new Map<number, RunningRequest>()
  readonly #streams = new Map<string, OutputStream>()
  readonly #slots: Instance<CodeInput, CodeOutput>[] = []
  readonly #asks: CodeAsks
  readonly settings: ModelRunner['settings']
  readonly batching = { isSafe: false, reason: 'model.ts takes one request at a time; the runs of its files are shared' }
  #scheduler: Scheduler<CodeInput, CodeOutput> | undefined
  #description: DescribedModel | undefined
  #tokenizer: CodeTokenizer | undefined
  #nextId = 1
  #isStopping = false

  constructor(source: CodeSource, options: CodeRunnerOptions) {
    const { name, version, code } = source
    this.#source = source
    this.#options = options
    this.#key = `${name}/${version}`
    this.settings = resolveSettings({ ...source.settings, batchRowsMax: 1 }, options)
    this.#log = new CodeLog(options.clock, (text) => options.warn(`${this.#key}: ${text}`))
    const { clock, startProcess } = options
    this.#asks = new CodeAsks({
      clock,
      engine: source.engine,
      files: this.#files,
      tokenizer: () => this.#tokenizer,
      calls: () => this.calls,
      reply: (header, text, tensors) => this.#host.send(header, text, tensors),
      log: (text) => this.#log.line(text),
    })
    this.#host = new CodeHost({
      clock,
      loadMsMax: options.loadMsMax,
      startSession: (on) =>
        new CodeSession({
          ...on,
          clock,
          startProcess: (events) => startProcess(code, events),
          hangMs: code.hangMs,
          memoryBytesMax: code.memoryBytesMax,
          log: (text) => this.#log.line(`model.ts: ${text}`),
        }),
      served: (frame) => this.#served(frame),
      ready: () => this.#attach(),
      lost: (loss) => this.#lost(loss),
      changed: source.changed,
      warn: (message) => options.warn(`${this.#key}: ${message}`),
    })
  }

  /** Loads the code, then its files, then runs `setup` and the examples. @throws Error with the reason, safe to show */
  async start(): Promise<void> {
    const { folder, entry, name } = this.#source
    checkEntry(folder, entry)
    const description = await this.#host.load(entry, (sources) => checkSources(sources, folder))
    this.#description = description
    this.#tokenizer = codeTokenizerIn(folder, this.#source.tasks)
    const files = await this.#startFiles(description)
    const labels = this.#labels()
    const noTokenizer = this.#tokenizer === undefined ? NO_TOKENIZER : this.#tokenizer.reason
    await this.#host.start({ files, labels, ...(noTokenizer !== undefined && { noTokenizer }) })
    this.#serve(description)
    for (const [index, example] of description.examples.entries()) {
      // What it calls may not be there yet at the start of a server.
      if (this.trouble() !== undefined) break
      await this.run(inputsOf(description.input, example), { cache: 'skip' }).catch((error: unknown) => {
        const reason =
          error instanceof VestalError && error.code === 'CODE_FAILED'
            ? this.#log.last
            : String(error instanceof Error ? error.message : error)
        throw new Error(`${name}: examples[${index}]: ${reason}`)
      })
    }
  }

  get description(): DescribedModel {
    if (this.#description === undefined) throw new Error('it was not loaded')
    return this.#description
  }

  get calls(): readonly string[] {
    return this.#description?.calls ?? []
  }

  get inputs(): readonly TensorSpec[] {
    return [specOf('input', this.description.input)]
  }

  get outputs(): readonly TensorSpec[] {
    return [specOf('output', this.description.output)]
  }

  isReady(): boolean {
    return !this.#isStopping && this.#host.isReady
  }

  trouble(): string | undefined {
    if (this.#description === undefined) return undefined
    return this.#host.trouble ?? troubleOf(this.#source.name, this.#description.calls, this.#source.engine)
  }

  async run(inputs: NamedTensors, asked: InferOptions): Promise<NamedTensors> {
    if (inputs.has(STREAM)) return this.#next(inputs, asked)
    checkInputs(this.inputs, inputs)
    const tensor = inputs.get('input')
    if (tensor === undefined || this.description.input.tensor !== undefined)
      return new Map([['output', outputOf([await this.#submit({ text: '', tensors: inputs, asked })])]])
    // The cast: BYTES are texts.
    const texts = tensor.data as readonly string[]
    if (texts.length === 0) throw new VestalError('INPUT_INVALID', { detail: "the input 'input' must have at least one element" })
    if (texts.length > 1 && this.description.output.form === 'tensor')
      throw new VestalError('INPUT_INVALID', { detail: "the input 'input' must have one element: the output is a tensor" })
    const answers = await Promise.all(texts.map((text) => this.#submit({ text, tensors: new Map(), asked })))
    return new Map([['output', outputOf(answers)]])
  }

  /** The first or the next output of a stream. */
  async #next(inputs: NamedTensors, asked: InferOptions): Promise<NamedTensors> {
    const name = streamOf(inputs)
    const known = name === undefined ? undefined : this.#streams.get(name)
    // After a reload, or the loss of its process, the stream is gone.
    if (name !== undefined && (known === undefined || known.isBusy || known.subject !== asked.subject))
      throw new VestalError('WORKER_LOST')
    const tensors = new Map([...inputs].filter(([each]) => each !== STREAM))
    if (known === undefined) {
      checkInputs(this.inputs, tensors)
      if (this.#streams.size >= STREAMS_MAX)
        throw new VestalError('QUEUE_FULL', { detail: `The model has ${STREAMS_MAX} streams; try again` })
      const own = [...this.#streams.values()].filter(({ subject }) => subject === asked.subject).length
      if (asked.subject !== undefined && own >= SUBJECT_STREAMS_MAX)
        throw new VestalError('SUBJECT_LIMIT', {
          detail: `This caller has ${SUBJECT_STREAMS_MAX} streams of the model; end one, or try again`,
        })
    }
    const stream = known ?? { name: crypto.randomUUID(), subject: asked.subject, isBusy: true, callOffIdle: () => undefined }
    stream.isBusy = true
    stream.callOffIdle()
    const [text = ''] =
      this.description.input.tensor !== undefined ? [] : ((tensors.get('input')?.data ?? []) as readonly string[])
    const answer = await this.#submit({ text, tensors: text === '' ? tensors : new Map(), asked, stream })
    if ('isEnd' in answer) return nextOf('')
    stream.isBusy = false
    const { clock } = this.#options
    stream.callOffIdle = clock.at(clock.now() + STREAM_IDLE_MS, () => stream.id !== undefined && this.#giveUp(stream.id))
    return nextOf(stream.name, new Map([['output', outputOf([answer])]]))
  }

  gauges() {
    return {
      waiting: this.#scheduler?.waiting ?? 0,
      running: this.#requests.size,
      workersAlive: this.#host.isReady ? 1 : 0,
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#scheduler?.stop()
    await this.#host.stop()
    await Promise.all([...this.#files.values()].map((runner) => runner.stop()))
  }

  async #startFiles(description: DescribedModel): Promise<Readonly<Record<string, FileFacts>>> {
    const { folder, file, settings, signal, changed } = this.#source
    const paths = description.files ?? (file === undefined ? {} : { model: file })
    if (description.isAroundFile && Object.keys(paths).length !== 1)
      throw new Error(
        `model.ts: "before" and "after" need one file, and there are ${Object.keys(paths).length}: name it in "files"`,
      )
    const { rows, delayMs } = description.batch
    const own = {
      ...settings,
      ...(rows !== undefined && { batchRowsMax: rows }),
      ...(delayMs !== undefined && { batchDelayMs: delayMs }),
    }
    const started = await Promise.allSettled(
      Object.entries(paths).map(async ([name, path], index) => {
        const tokenizer = index === 0 ? this.#tokenizer : undefined
        const runner = await this.#options.startRunner({
          key: this.#key,
          path: fileInside(folder, path, name),
          settings: own,
          counters: new ModelCounters(),
          changed,
          ...(signal && { signal }),
          ...(tokenizer && {
            tokenizer: tokenizer.path,
            described: (loaded) => tokenizer.describe(loaded),
            padding: () => tokenizer.padding(),
            trialOf: () => ({ samples: tokenizer.samples() }),
          }),
        })
        this.#files.set(name, runner)
        return [name, { inputs: runner.inputs, outputs: runner.outputs }] as const
      }),
    )
    const failed = started.find((each) => each.status === 'rejected')
    if (failed?.status === 'rejected') throw failed.reason
    return Object.fromEntries(started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : [])))
  }

  #labels(): ModelFacts['labels'] {
    const { folder, labels } = this.#source
    const files = [...this.#files.values()]
    const own = [...files.flatMap((file) => [...(file.labels ?? [])]), ...labels]
    return Object.fromEntries(own.length > 0 ? own : folderLabels(folder, files[0]?.outputs ?? []))
  }

  #serve({ limits }: DescribedModel): void {
    const { clock, admission } = this.#options
    const { counters } = this.#source
    this.#scheduler = new Scheduler<CodeInput, CodeOutput>({
      ...this.settings,
      timeoutMs: Math.min(this.settings.timeoutMs, limits.ms ?? Number.POSITIVE_INFINITY),
      clock,
      admission,
      counters,
      mayRunAhead: false,
      batches: { rowsMax: 1, bytesMax: 0, delayMs: 0 },
    })
    for (let index = 0; index < (limits.atOnce ?? AT_ONCE); index += 1)
      this.#slots.push({
        run: ([input], settle) => (input === undefined ? settle({ kind: 'returned' }) : this.#begin(input, settle)),
      })
    this.#attach()
  }

  #attach(): void {
    for (const slot of this.#slots) this.#scheduler?.attach(slot)
  }

  #lost(loss: Parameters<ConstructorParameters<typeof CodeHost>[0]['lost']>[0]): void {
    const requests = [...this.#requests.values()]
    this.#requests.clear()
    for (const slot of this.#slots) this.#scheduler?.detach(slot)
    const { cause, label, isKilled, delayMs, inARow } = loss
    const requestIds = requests.flatMap(({ input }) => input.asked.requestId ?? [])
    this.#options.warn(
      `${this.#key}: the code process ended (${cause}) with ${requests.length} ${requests.length === 1 ? 'request' : 'requests'} in it; it is started again in ${delayMs} ms`,
    )
    this.#source.counters.ended(label)
    this.#options.lost?.({ key: this.#key, cause, label, isKilled, requestIds })
    for (const request of requests) {
      const { settle, abort, forget } = request
      forget()
      this.#closed(request)
      abort.abort()
      settle({ kind: 'lost', cause, isKilled })
    }
    if (inARow > 2) this.#scheduler?.failPending()
  }

  #submit(input: CodeInput): Promise<CodeOutput> {
    if (this.#scheduler === undefined) throw new VestalError('MODEL_UNAVAILABLE')
    const { subject, priority, timeoutMs, signal, watch } = input.asked
    const key = this.#key
    return this.#scheduler.submit({
      input,
      rows: 1,
      bytes: input.text.length * 2 + bytesOf(input.tensors),
      subject,
      priority,
      timeoutMs,
      signal,
      watch: watch && ((times: JobTimes) => watch({ ...times, key })),
    })
  }

  /** Hands a request to the code, or asks a stream for more. */
  #begin(input: CodeInput, settle: RunningRequest['settle']): void {
    const { stream } = input
    const known = stream?.id === undefined ? undefined : this.#requests.get(stream.id)
    if (stream?.id !== undefined && known === undefined) {
      settle({ kind: 'rejected', error: new VestalError('WORKER_LOST') })
      return
    }
    const id = stream?.id ?? this.#nextId++
    const msLeft = this.#msLeft(input)
    const timing = {
      deadlineMs: this.#options.clock.now() + msLeft,
      begunNs: Bun.nanoseconds(),
      forget: this.#watch(id, input, msLeft),
    }
    if (known === undefined) {
      this.#requests.set(id, {
        input,
        asked: input.asked,
        settle,
        abort: new AbortController(),
        errors: new Map(),
        pending: 0,
        waiting: [],
        ...timing,
      })
      this.#host.work = this.#requests.size
      this.#host.send(
        { kind: 'request', id, msLeft, subject: input.asked.subject, isStream: stream !== undefined },
        input.text,
        input.tensors,
      )
      if (stream !== undefined) {
        stream.id = id
        this.#streams.set(stream.name, stream)
      }
    } else {
      Object.assign(known, timing, { settle })
      this.#host.send({ kind: 'next', id })
    }
    const { signal } = input.asked
    if ((typeof signal === 'function' ? signal() : signal)?.aborted === true) this.#giveUp(id)
  }

  #msLeft({ asked: { timeoutMs = Number.POSITIVE_INFINITY } }: CodeInput): number {
    return Math.min(timeoutMs, this.settings.timeoutMs, this.description.limits.ms ?? Number.POSITIVE_INFINITY)
  }

  /** Gives a request up at its deadline, or when its signal aborts. Gives what ends that. */
  #watch(id: number, { asked: { signal } }: CodeInput, msLeft: number): () => void {
    const { clock } = this.#options
    const given = typeof signal === 'function' ? signal() : signal
    const giveUp = () => this.#giveUp(id)
    given?.addEventListener('abort', giveUp, { once: true })
    const callOff = clock.at(clock.now() + msLeft, giveUp)
    return () => {
      callOff()
      given?.removeEventListener('abort', giveUp)
    }
  }

  /** Tells the code that its caller has left; it keeps its place until it stops. */
  #giveUp(id: number): void {
    const request = this.#requests.get(id)
    if (request === undefined || request.abort.signal.aborted) return
    const { clock } = this.#options
    request.abort.abort()
    this.#host.send({ kind: 'cancel', id })
    clock.at(clock.now() + GRACE_MS, () => this.#end(id, { kind: 'rejected', error: new VestalError('REQUEST_ABORTED') }))
  }

  #end(id: number, outcome: Outcome<CodeOutput>): void {
    const request = this.#requests.get(id)
    if (request === undefined) return
    this.#requests.delete(id)
    this.#host.work = this.#requests.size
    request.forget()
    this.#closed(request)
    // What it still runs is of no use to anybody.
    request.abort.abort()
    request.settle(outcome)
  }

  #closed({ input: { stream } }: RunningRequest): void {
    stream?.callOffIdle()
    if (stream !== undefined) this.#streams.delete(stream.name)
  }

  #served(frame: CodeFrame<ServedMessage>): void {
    const { header } = frame
    if (header.kind === 'answer') this.#answered(header, frame)
    else if (header.kind === 'failed') {
      this.#host.answered()
      this.#end(header.id, { kind: 'rejected', error: this.#errorOf(header.failure, this.#requests.get(header.id)) })
    } else void this.#ask(header, frame)
  }

  #answered(
    { id, isLast, isEmpty }: Extract<ServedMessage, { kind: 'answer' }>,
    { text, tensors }: CodeFrame<ServedMessage>,
  ): void {
    const request = this.#requests.get(id)
    if (request === undefined) return
    this.#host.answered()
    const timing = { inputNs: 0, inferNs: Bun.nanoseconds() - request.begunNs, outputNs: 0 }
    if (isLast && isEmpty) {
      this.#end(id, { kind: 'done', outputs: [{ isEnd: true }], timing })
      return
    }
    const outcome: Outcome<CodeOutput> = { kind: 'done', outputs: [this.#outputIn(text, tensors)], timing }
    if (isLast || request.input.stream === undefined) {
      this.#end(id, outcome)
      return
    }
    request.forget()
    const { settle } = request
    request.settle = () => undefined
    settle(outcome)
  }

  /** An output as the code sent it. @throws Error where it is of another form than its definition says */
  #outputIn(text: string, tensors: NamedTensors): CodeOutput {
    const { output } = this.description
    const given = tensors.get('output')
    // What is sent on as JSON must be some.
    if (output.form === 'json') JSON.parse(text)
    if ((output.form === 'tensor') !== (given !== undefined))
      throw new Error('the protocol was broken: an output of another form')
    if (given === undefined) return { text }
    checkInputs([specOf('output', output)], tensors)
    return { tensor: given }
  }

  /** What a request asks, or `setup`, which asks as the request 0. */
  async #ask(header: AskMessage, frame: CodeFrame<ServedMessage>): Promise<void> {
    const request = this.#requests.get(header.id)
    const isOver = request === undefined && (header.id !== 0 || this.#host.isReady)
    return isOver ? this.#asks.reject(header.ask, new VestalError('REQUEST_ABORTED')) : this.#asks.answer(header, frame, request)
  }

  #errorOf(failure: CodeFailure, request: RunningRequest | undefined): VestalError {
    if (failure.kind === 'input') return new VestalError('INPUT_INVALID', { detail: detailOf(failure.faults) })
    if (failure.kind === 'refusal')
      return new VestalError('REQUEST_REFUSED', {
        status: failure.status,
        detail: failure.text || 'The model rejects this request',
        // What the code says to its caller may hold what the caller sent.
        reason: 'its code threw a Refusal',
      })
    const passed = failure.kind === 'passed' ? request?.errors.get(failure.ask) : undefined
    if (passed !== undefined && passed.code !== 'INTERNAL') return passed
    this.#log.line(failure.kind === 'bug' ? failure.text : 'a run or call of another request failed')
    return new VestalError('CODE_FAILED')
  }
}

function detailOf(faults: readonly { readonly path: string; readonly rule: string }[]): ErrorDetail {
  return Object.fromEntries(
    faults.map(({ path, rule }) => [path === '' ? 'input' : path.startsWith('[') ? `input${path}` : `input.${path}`, rule]),
  )
}

/** How the metadata describes an input or output: texts and JSON are elements of BYTES, one for each request. */
function specOf(name: string, { tensor }: DescribedValue): TensorSpec {
  return tensor === undefined ? { name, datatype: 'BYTES', shape: [-1] } : { name, ...tensor }
}

function inputsOf({ form }: DescribedValue, value: unknown): NamedTensors {
  const text = form === 'text' && typeof value === 'string' ? value : JSON.stringify(value)
  return new Map([['input', { datatype: 'BYTES', shape: [1], data: [text] }]])
}

function outputOf(answers: readonly CodeOutput[]): Tensor {
  const [first] = answers
  if (first !== undefined && 'tensor' in first) return first.tensor
  const data = answers.map((answer) => ('text' in answer ? answer.text : ''))
  if (data.length > ELEMENTS_MAX) throw new VestalError('INPUT_INVALID')
  return { datatype: 'BYTES', shape: [data.length], data }
}
