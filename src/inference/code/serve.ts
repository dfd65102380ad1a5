/** What a code process does: it bundles a `model.ts`, runs it, and answers requests until its server closes the socket. */
import { format } from 'node:util'
import { CallError } from '../../model/call-error.ts'
import { isDefinedModel } from '../../model/definition.ts'
import { describeModel, InputFault, type ModelFacts, OutputFault, RunnableModel, type Services } from '../../model/execute.ts'
import * as modelModule from '../../model/model.ts'
import { ModelTensor } from '../../model/model-tensor.ts'
import { Picture, pictureOf, preparedPicture } from '../../model/picture.ts'
import { Refusal } from '../../model/refusal.ts'
import { openMessageSocket } from '../../processes/message-socket.ts'
import type { Fault } from '../../schema/check.ts'
import type { ImageInput } from '../../tasks/task.ts'
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts'
import { bundle, MODEL_MODULE } from './bundle.ts'
import {
  type BundleFacts,
  type CodeFailure,
  type CodeFrame,
  type FromCode,
  readFrame,
  sendFrame,
  TEXT_BYTES_MAX,
  type ToCode,
} from './messages.ts'
import { BUNDLE_MODULE, createErrorText } from './source-lines.ts'

/** Its descriptor of the socket to the server. */
const SOCKET = 3
/** Longest path and rule of a fault. */
const FAULT_LENGTH_MAX = 300
/** Longest line of the code's console. */
const LOG_LENGTH_MAX = 2000

interface ServedRequest {
  readonly abort: AbortController
  /** Of a stream. */
  readonly outputs?: AsyncGenerator<unknown, void>
}

type Request = Extract<ToCode, { kind: 'request' }>
type Reply = Extract<ToCode, { kind: 'reply' }>

/** An ask that is not answered yet. */
interface Ask {
  readonly resolve: (frame: CodeFrame<Reply>) => void
  readonly reject: (error: Error) => void
}

/** Serves until the socket is closed; where the process could not be restricted, it runs no code, and says so. */
export function serveCode(fault?: unknown): void {
  const code = new CodeProcess((header, text, tensors) => sendFrame(socket, header, text, tensors), fault)
  const socket = openMessageSocket(SOCKET, {
    // The cast: the server is trusted, and of the same version.
    frame: (cursor) => code.take(readFrame(cursor) as CodeFrame<ToCode>),
    closed: () => process.kill(process.pid, 'SIGKILL'),
  })
  code.listen()
}

/** Which ask an error came from: one that is not caught is the server's own again. */
const ASKED = new WeakMap<Error, number>()

class CodeProcess {
  readonly #send: (header: FromCode, text?: string, tensors?: NamedTensors) => void
  readonly #fault: unknown
  readonly #requests = new Map<number, ServedRequest>()
  readonly #asks = new Map<number, Ask>()
  #nextAsk = 1
  #errorText: (error: unknown) => string = String
  #definition: unknown
  #model: RunnableModel | undefined

  constructor(send: (header: FromCode, text?: string, tensors?: NamedTensors) => void, fault: unknown) {
    this.#send = send
    this.#fault = fault
  }

  /** Takes over what the code writes, and what it does not catch. */
  listen(): void {
    const log = (isError: boolean, text: string) =>
      this.#send({ kind: 'log', isError, text: text.trimEnd().slice(0, LOG_LENGTH_MAX) })
    for (const [name, isError] of [
      ['log', false],
      ['info', false],
      ['debug', false],
      ['warn', true],
      ['error', true],
      ['trace', true],
    ] as const)
      console[name] = (...values: readonly unknown[]) => log(isError, format(...values.slice(0, 20)))
    const writer = (isError: boolean) => (chunk: unknown) => {
      log(isError, String(chunk))
      return true
    }
    process.stdout.write = writer(false)
    process.stderr.write = writer(true)
    const end = (what: string) => (error: unknown) => {
      log(true, `${what}: ${this.#errorText(error)}`)
      // The state of the code is unknown now; what was written is sent first.
      setTimeout(() => process.exit(1), 10)
    }
    process.on('uncaughtException', end('an error that nothing caught ends the process'))
    process.on('unhandledRejection', end('a rejected promise that nothing awaits ends the process'))
  }

  take({ header, text, tensors }: CodeFrame<ToCode>): void {
    switch (header.kind) {
      case 'ping':
        this.#send({ kind: 'pong', number: header.number })
        break
      case 'bundle':
        void this.#rejecting(() => this.#bundle(header.entry))
        break
      case 'load':
        void this.#rejecting(() => this.#load(text, header.bundle))
        break
      case 'start':
        void this.#rejecting(() => this.#start(header))
        break
      case 'request':
        void this.#answer(header, text, tensors)
        break
      case 'next':
        void this.#next(header.id)
        break
      case 'cancel':
        this.#cancel(header.id)
        break
      case 'reply':
        this.#reply({ header, text, tensors })
    }
  }

  async #rejecting(work: () => Promise<void>): Promise<void> {
    try {
      if (this.#fault !== undefined) throw this.#fault
      await work()
    } catch (error) {
      this.#send({ kind: 'rejected', reason: this.#errorText(error) })
    }
  }

  async #bundle(entry: string): Promise<void> {
    this.#errorText = (error) => (error instanceof Error ? error.message : String(error))
    const made = await bundle(entry, Object.keys(modelModule))
    this.#send({ kind: 'bundled', bundle: made.facts, sources: made.sources }, made.text)
  }

  async #load(text: string, facts: BundleFacts): Promise<void> {
    this.#errorText = createErrorText(facts)
    Object.assign(globalThis, { [MODEL_MODULE]: modelModule })
    Bun.plugin({
      name: 'model.ts',
      setup: (build) => void build.module(BUNDLE_MODULE, () => ({ contents: text, loader: 'js' })),
    })
    const loaded: { readonly default?: unknown } = await import(BUNDLE_MODULE)
    if (!isDefinedModel(loaded.default)) throw new Error('model.ts: the default export must be model({ … }) of vestal/model')
    this.#definition = loaded.default
    this.#send({ kind: 'described', model: describeModel(loaded.default) })
  }

  async #start(facts: ModelFacts): Promise<void> {
    if (!isDefinedModel(this.#definition)) throw new Error('it was not loaded')
    this.#model = new RunnableModel(this.#definition, facts)
    const abort = new AbortController()
    await this.#model.setup(this.#services({ id: 0, abort, msLeft: Number.POSITIVE_INFINITY, subject: undefined }))
    this.#send({ kind: 'ready' })
  }

  async #answer(request: Request, text: string, tensors: NamedTensors): Promise<void> {
    const { id, isStream, msLeft, subject } = request
    const abort = new AbortController()
    const model = this.#model
    try {
      if (model === undefined) throw new Error('it was not started')
      const services = this.#services({ id, abort, msLeft, subject })
      const input = inputOf(model, text, tensors)
      if (isStream) {
        this.#requests.set(id, { abort, outputs: model.stream(input, services) })
        return await this.#next(id)
      }
      this.#requests.set(id, { abort })
      const output = await model.answer(input, services)
      this.#requests.delete(id)
      await this.#give(id, output, true)
    } catch (error) {
      this.#requests.delete(id)
      this.#send({ kind: 'failed', id, failure: this.#failureOf(error) })
    }
  }

  async #next(id: number): Promise<void> {
    const outputs = this.#requests.get(id)?.outputs
    try {
      const next = await outputs?.next()
      if (next === undefined || next.done === true) {
        this.#requests.delete(id)
        this.#send({ kind: 'answer', id, isLast: true, isEmpty: true })
      } else await this.#give(id, next.value, false)
    } catch (error) {
      this.#requests.delete(id)
      this.#send({ kind: 'failed', id, failure: this.#failureOf(error) })
    }
  }

  async #give(id: number, output: unknown, isLast: boolean): Promise<void> {
    const header = { kind: 'answer', id, isLast, isEmpty: false } as const
    if (this.#model?.outputForm === 'tensor') {
      if (!(output instanceof ModelTensor)) throw new OutputFault('the output does not match its schema: it must be a tensor')
      return this.#send(header, '', new Map([['output', output]]))
    }
    const text = this.#model?.outputForm === 'text' && typeof output === 'string' ? output : (JSON.stringify(output) ?? 'null')
    if (text.length > TEXT_BYTES_MAX) throw new OutputFault(`the output is longer than ${TEXT_BYTES_MAX} characters`)
    this.#send(header, text)
  }

  #cancel(id: number): void {
    const request = this.#requests.get(id)
    request?.abort.abort()
    this.#requests.delete(id)
    // A generator that waits for something forever has no more to give; what it throws now is of no interest.
    void request?.outputs?.return().catch(() => undefined)
  }

  #services(request: {
    readonly id: number
    readonly abort: AbortController
    readonly msLeft: number
    readonly subject: string | undefined
  }): Services {
    const { id, abort, msLeft, subject } = request
    const endMs = performance.now() + msLeft
    return {
      run: async (file, inputs, outputs) => {
        const { tensors } = await this.#ask((ask) =>
          this.#send({ kind: 'run', id, ask, file, ...(outputs && { outputs }) }, '', inputs),
        )
        return tensors
      },
      call: async (model, input, { parameters }) => {
        if (input instanceof Picture) return this.#callWithPicture(id, model, input, JSON.stringify({ parameters }))
        const text = JSON.stringify({ input: input ?? null, parameters })
        const reply = await this.#ask((ask) => this.#send({ kind: 'call', id, ask, model }, text))
        return JSON.parse(reply.text)
      },
      encode: async (text, options) => {
        const json = JSON.stringify({ text, truncate: options.truncate })
        return (await this.#ask((ask) => this.#send({ kind: 'tokenizer', id, ask, action: 'encode' }, json))).tensors
      },
      decode: async (ids, options) => {
        const json = JSON.stringify({ ids, skipSpecialTokens: options.skipSpecialTokens })
        return (await this.#ask((ask) => this.#send({ kind: 'tokenizer', id, ask, action: 'decode' }, json))).text
      },
      signal: abort.signal,
      timeLeftMs: () => Math.max(0, endMs - performance.now()),
      subject,
    }
  }

  /** Makes a picture the input of the called model here, where it costs no other model time. */
  async #callWithPicture(id: number, model: string, picture: Picture, question: string): Promise<unknown> {
    const asked = await this.#ask((ask) => this.#send({ kind: 'call', id, ask, model, picture: {} }))
    const { tensor, placement } = preparedFor(picture, JSON.parse(asked.text))
    const input = new Map([['input', tensor]])
    const reply = await this.#ask((ask) => this.#send({ kind: 'call', id, ask, model, picture: { placement } }, question, input))
    return JSON.parse(reply.text)
  }

  #ask(send: (ask: number) => void): Promise<CodeFrame<Reply>> {
    const ask = this.#nextAsk++
    return new Promise((resolve, reject) => {
      this.#asks.set(ask, { resolve, reject })
      send(ask)
    })
  }

  #reply(frame: CodeFrame<Reply>): void {
    const { ask, error } = frame.header
    const waiting = this.#asks.get(ask)
    this.#asks.delete(ask)
    if (error === undefined) {
      waiting?.resolve(frame)
      return
    }
    const thrown = new CallError(error.message, error)
    ASKED.set(thrown, ask)
    waiting?.reject(thrown)
  }

  #failureOf(error: unknown): CodeFailure {
    if (error instanceof InputFault) return { kind: 'input', faults: error.faults.map(shortened) }
    if (error instanceof Refusal) return { kind: 'refusal', status: error.status, text: error.message.slice(0, LOG_LENGTH_MAX) }
    const ask = error instanceof Error ? ASKED.get(error) : undefined
    return ask === undefined ? { kind: 'bug', text: this.#errorText(error).slice(0, LOG_LENGTH_MAX) } : { kind: 'passed', ask }
  }
}

/** Paths are made of what a caller sent: longer ones the server would take for a broken protocol, and end this process. */
function shortened({ path, rule }: Fault): Fault {
  return { path: path.slice(0, FAULT_LENGTH_MAX), rule: rule.slice(0, FAULT_LENGTH_MAX) }
}

function inputOf(model: RunnableModel, text: string, tensors: NamedTensors): unknown {
  if (model.inputForm === 'text') return text
  if (model.inputForm === 'tensor' || model.inputForm === 'image') {
    const tensor = tensors.get('input')
    if (tensor === undefined) return undefined
    return model.inputForm === 'tensor' ? new ModelTensor(tensor) : pictureIn(tensor)
  }
  try {
    return JSON.parse(text)
  } catch {
    throw new InputFault([{ path: '', rule: 'must be JSON' }])
  }
}

/** @throws Refusal where the picture cannot become the input */
function preparedFor(picture: Picture, input: ImageInput): ReturnType<typeof preparedPicture> {
  try {
    return preparedPicture(picture, input)
  } catch (error) {
    throw error instanceof RangeError ? new Refusal(`The picture ${error.message}`) : error
  }
}

function pictureIn(tensor: Tensor): Picture {
  try {
    return pictureOf(tensor)
  } catch {
    throw new InputFault([{ path: '', rule: 'must be a picture of at least one pixel' }])
  }
}
