/** What the code of a request asks of the server while it runs: runs of its files, calls of other models, and its tokenizer. */
import type { Clock } from '../../core/clock.ts'
import { VestalError } from '../../core/errors.ts'
import { withPatience } from '../../core/patience.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import type { InferOptions } from '../engine.ts'
import type { ModelRunner } from '../runner.ts'
import { type CalledWith, type CodeCalls, callModel } from './calls.ts'
import type { ServedMessage } from './code-session.ts'
import type { CodeTokenizer } from './code-tokenizer.ts'
import type { CodeFrame, ToCode } from './messages.ts'

/** A message that asks for something. */
export type AskMessage = Extract<ServedMessage, { kind: 'run' | 'call' | 'tokenizer' }>

/** Runs and calls of one request at once; further ones wait. */
const AT_ONCE = 32
/** Runs and calls of one request that wait, and errors of them that are kept. */
const WAITING_MAX = 4096

/** What is known of the request that asks. */
export interface AskingRequest {
  readonly asked: InferOptions
  /** Aborted when the caller is gone, or the time of the request is over. */
  readonly abort: AbortController
  deadlineMs: number
  /** Errors of what it asked, which the code may pass on. */
  readonly errors: Map<number, VestalError>
  /** Runs and calls that are computed. */
  pending: number
  /** Begins those that wait for others. */
  readonly waiting: (() => void)[]
}

export interface CodeAsksOptions {
  readonly clock: Clock
  readonly engine: CodeCalls
  readonly files: ReadonlyMap<string, ModelRunner>
  readonly tokenizer: () => CodeTokenizer | undefined
  /** Models that the code may call. */
  readonly calls: () => readonly string[]
  /** Sends to the code. */
  readonly reply: (header: ToCode, text?: string, tensors?: NamedTensors) => void
  readonly log: (text: string) => void
}

type Answer = { readonly text: string } | { readonly tensors: NamedTensors }

/** Answers what the code of one model asks, within the limits of each request. */
export class CodeAsks {
  readonly #options: CodeAsksOptions

  constructor(options: CodeAsksOptions) {
    this.#options = options
  }

  /** Answers that something cannot be had. */
  reject(ask: number, { code, status, detail }: VestalError): void {
    const message = typeof detail === 'string' ? detail : JSON.stringify(detail)
    this.#options.reply({ kind: 'reply', ask, error: { code, status, message } })
  }

  /** Computes what is asked, and sends the answer or the error. `setup` asks without a request. */
  async answer(
    header: AskMessage,
    frame: Pick<CodeFrame<ServedMessage>, 'text' | 'tensors'>,
    request: AskingRequest | undefined,
  ): Promise<void> {
    const { ask } = header
    if (request !== undefined && request.waiting.length >= WAITING_MAX)
      return this.#fail(
        header,
        new VestalError('QUEUE_FULL', { detail: `a request may have ${WAITING_MAX} runs and calls pending` }),
        request,
      )
    try {
      if (request !== undefined) await begin(request)
      const signal = request?.abort.signal ?? new AbortController().signal
      const answer = await withPatience(() => this.#compute(header, frame, { request, signal }), signal)
      if ('text' in answer) this.#options.reply({ kind: 'reply', ask }, answer.text)
      else this.#options.reply({ kind: 'reply', ask }, '', answer.tensors)
    } catch (error) {
      const isKnown = error instanceof VestalError
      if (!isKnown) this.#options.log(error instanceof Error ? error.message : String(error))
      this.#fail(header, isKnown ? error : new VestalError('INTERNAL'), request)
    } finally {
      if (request !== undefined) end(request)
    }
  }

  /** Keeps an error for the code to pass on, and sends it. */
  #fail({ ask }: AskMessage, error: VestalError, request: AskingRequest | undefined): void {
    if (request !== undefined) {
      request.errors.set(ask, error)
      const [oldest] = request.errors.keys()
      if (oldest !== undefined && request.errors.size > WAITING_MAX) request.errors.delete(oldest)
    }
    this.reject(ask, error)
  }

  #compute(
    header: AskMessage,
    { text, tensors }: Pick<CodeFrame<ServedMessage>, 'text' | 'tensors'>,
    { request, signal }: { readonly request: AskingRequest | undefined; readonly signal: AbortSignal },
  ): Promise<Answer> {
    switch (header.kind) {
      case 'run':
        return this.#run(header, tensors, request)
      case 'call':
        return this.#call(header, { text, tensors }, request)
      case 'tokenizer':
        return this.#tokenize(header, text, signal)
    }
  }

  async #run(
    { file, outputs }: Extract<AskMessage, { kind: 'run' }>,
    tensors: NamedTensors,
    request: AskingRequest | undefined,
  ): Promise<Answer> {
    const runner = this.#options.files.get(file)
    if (runner === undefined) throw new VestalError('INPUT_INVALID', { detail: `the model has no file '${file.slice(0, 64)}'` })
    return { tensors: await runner.run(tensors, { ...this.#inherited(request), ...(outputs && { outputs }) }) }
  }

  async #call(
    { model, picture }: Extract<AskMessage, { kind: 'call' }>,
    given: Pick<CalledWith, 'text' | 'tensors'>,
    request: AskingRequest | undefined,
  ): Promise<Answer> {
    if (request === undefined || !this.#options.calls().includes(model))
      throw new VestalError('INPUT_INVALID', { detail: `the model '${model.slice(0, 64)}' is not among "calls"` })
    return { text: await callModel(this.#options.engine, model, { ...given, picture }, this.#inherited(request)) }
  }

  async #tokenize({ action }: Extract<AskMessage, { kind: 'tokenizer' }>, text: string, signal: AbortSignal): Promise<Answer> {
    const tokenizer = this.#options.tokenizer()
    if (tokenizer === undefined) throw new VestalError('UNSUPPORTED', { detail: 'The model has no tokenizer' })
    return action === 'encode' ? { tensors: await tokenizer.encode(text, signal) } : { text: await tokenizer.decode(text) }
  }

  /** What runs and calls have of their request: who asks, how urgent it is, and the rest of its time. */
  #inherited(request: AskingRequest | undefined): InferOptions {
    if (request === undefined) return {}
    const { subject, requestId, priority, watch } = request.asked
    const timeoutMs = request.deadlineMs - this.#options.clock.now()
    if (timeoutMs <= 0) throw new VestalError('REQUEST_TIMEOUT')
    return { subject, requestId, priority, timeoutMs, signal: request.abort.signal, ...(watch && { watch }) }
  }
}

/** Waits until fewer runs and calls of a request are computed than may be at once. */
async function begin(request: AskingRequest): Promise<void> {
  if (request.pending >= AT_ONCE) await new Promise<void>((resolve) => request.waiting.push(resolve))
  else request.pending += 1
}

function end(request: AskingRequest): void {
  const next = request.waiting.shift()
  if (next === undefined) request.pending -= 1
  else next()
}
