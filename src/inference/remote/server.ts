import { type Clock, SYSTEM_CLOCK } from '../../core/clock.ts'
import { never } from '../../core/invariant.ts'
import { broken, type FrameCursor, type ReadBytes } from '../../processes/frames.ts'
import { type MessageSocket, openMessageSocket } from '../../processes/message-socket.ts'
import type { Engine, ModelChange, RunTimes } from '../engine.ts'
import { PermissionLookup } from '../repository/permission-lookup.ts'
import type { ModelLoss } from '../runner.ts'
import { AreaReader, type Blocks, ExchangeArea } from './exchange-area.ts'
import { type Link, REST_MS } from './link.ts'
import {
  type AgedTimes,
  type CallFrame,
  type Described,
  type EngineHello,
  type FromEngine,
  failureOf,
  type InferFrame,
  KIND,
  readCall,
  readHello,
  readInfer,
  readMessage,
  type ToEngine,
  writeFailure,
  writeHello,
  writeMessage,
  writeResult,
} from './protocol.ts'

export interface EngineServerOptions {
  readonly engine: Engine
  readonly modelsDirectory?: string | undefined
  /** Longest time of a request. */
  readonly timeoutMs: number
  /** Called when an HTTP process disconnects. */
  readonly warn: (message: string) => void
  /** Called for each load and unload done for a request, before the request is answered. */
  readonly done?: (change: DoneChange) => void
  readonly clock?: Clock
}

/** A load or an unload that a request asked for, of the model that it names or of one that goes with it. */
export interface DoneChange {
  readonly what: 'load' | 'unload'
  readonly name: string
  readonly version?: string | undefined
  readonly config?: string | undefined
  readonly files?: ReadonlyMap<string, Uint8Array> | undefined
}

/** How often it is looked at what is wrong with where the models come from, and whether the engine takes work. */
const TROUBLES_MS = 1000
/** How long a load or an unload waits for each HTTP process to know of it. */
const SETTLE_MS = 1000

/** A request that is computed for an HTTP process. */
interface Taken {
  isCancelled: boolean
  controller: AbortController | undefined
}

/** One HTTP process. */
interface Client {
  readonly socket: MessageSocket
  readonly answers: ExchangeArea
  readonly requests: Map<number, Taken>
  /** Large outputs by request, until they are read. */
  readonly unread: Map<number, Blocks>
  readonly questions: Map<number, (answer: boolean) => void>
  isGreeted: boolean
  isClosed: boolean
}

/** Computes for the HTTP processes at the other ends of links. */
export class EngineServer {
  readonly #options: EngineServerOptions
  readonly #clock: Clock
  readonly #hello: EngineHello
  readonly #clients = new Set<Client>()
  readonly #ends: (() => void)[] = []
  #troubles: readonly string[] = []
  #isReady = false
  #lastQuestion = 0
  #gone = Promise.withResolvers<void>()

  constructor(options: EngineServerOptions) {
    const { engine, modelsDirectory, timeoutMs } = options
    this.#options = options
    this.#clock = options.clock ?? SYSTEM_CLOCK
    const permissions = new PermissionLookup({ ...(modelsDirectory !== undefined && { modelsDirectory }) }, () => undefined)
    permissions.look()
    this.#hello = { modelsDirectory, hadFolder: permissions.hadFolder, timeoutMs }
    const end = engine.subscribe?.((name) => this.#sendAll(this.#state([name])))
    const timer = setInterval(() => this.#look(), TROUBLES_MS)
    timer.unref()
    this.#ends.push(
      () => end?.(),
      () => clearInterval(timer),
    )
    this.#gone.resolve()
  }

  /** Resolves while there is no HTTP process. */
  get gone(): Promise<void> {
    return this.#gone.promise
  }

  /** Computes for one more HTTP process. */
  attach(link: Link): void {
    const answers = new ExchangeArea(link.answers)
    const requests = new AreaReader(link.requests)
    const socket = openMessageSocket(link.socket, {
      frame: (cursor) => this.#received(client, cursor, requests.read),
      closed: (reason) => {
        clearInterval(rest)
        answers.close()
        requests.close()
        this.#closed(client, reason)
      },
    })
    const rest = setInterval(() => answers.rest(), REST_MS)
    rest.unref()
    const client: Client = {
      socket,
      answers,
      requests: new Map(),
      unread: new Map(),
      questions: new Map(),
      isGreeted: false,
      isClosed: false,
    }
    if (this.#clients.size === 0) this.#gone = Promise.withResolvers<void>()
    this.#clients.add(client)
    socket.send(KIND.hello, (buffer) => writeHello(buffer, this.#hello))
    send(client, { ...this.#state(this.#options.engine.models().map(({ name }) => name)), isWhole: true })
  }

  /** Has one of the HTTP processes take note of a model that changed by itself. False where there is none. */
  note(change: ModelChange): boolean {
    return this.#tellOne({ kind: 'noted', change })
  }

  /** The same of a worker process that ended by itself. */
  noteLoss(loss: ModelLoss): boolean {
    return this.#tellOne({ kind: 'lost', loss })
  }

  /** Tells the HTTP processes that the engine takes no more work, or does. */
  announce(): void {
    this.#sendAll(this.#state([]))
  }

  /** Ends all connections. */
  stop(): void {
    for (const end of this.#ends) end()
    for (const { socket } of this.#clients) socket.end()
  }

  #state(names: readonly string[]): FromEngine & { readonly kind: 'state' } {
    const { engine } = this.#options
    this.#troubles = engine.troubles()
    this.#isReady = engine.isReady()
    const models = names.map((name) => [name, describe(engine, name)] as const)
    return { kind: 'state', isWhole: false, models, isReady: this.#isReady, troubles: this.#troubles }
  }

  #look(): void {
    const { engine } = this.#options
    const now = engine.troubles()
    if (
      engine.isReady() !== this.#isReady ||
      now.length !== this.#troubles.length ||
      now.some((trouble, index) => trouble !== this.#troubles[index])
    )
      this.announce()
  }

  #tellOne(message: FromEngine): boolean {
    const [client] = this.#clients
    if (client === undefined) return false
    send(client, message)
    return true
  }

  #sendAll(message: FromEngine): void {
    for (const client of this.#clients) send(client, message)
  }

  #received(client: Client, cursor: FrameCursor, readBytes: ReadBytes): void {
    const kind = cursor.byte()
    if (!client.isGreeted) {
      if (kind !== KIND.hello) broken('the first frame is no greeting')
      readHello(cursor)
      client.isGreeted = true
    } else if (kind === KIND.infer) void this.#infer(client, readInfer(cursor, readBytes))
    else if (kind === KIND.cancel) cancel(client.requests.get(cursor.count()))
    else if (kind === KIND.read) {
      const id = cursor.count()
      client.answers.free(client.unread.get(id) ?? [])
      client.unread.delete(id)
    } else if (kind === KIND.call) void this.#call(client, readCall(cursor, readBytes))
    else if (kind === KIND.message) this.#heard(client, readMessage<ToEngine>(cursor))
    else broken('a frame of an unknown kind')
  }

  #heard(client: Client, message: ToEngine): void {
    if (message.kind === 'rejected') this.#options.engine.noteRejections?.(message.rejections)
    else if (message.kind === 'granted') answerQuestion(client, message.question, message.isGranted)
    else if (message.kind === 'settled') answerQuestion(client, message.question, true)
    else never(message)
  }

  async #infer(client: Client, frame: InferFrame): Promise<void> {
    const { id, model, version, inputs, outputs, subject, priority, timeoutMs, requestId } = frame
    const taken: Taken = { isCancelled: false, controller: undefined }
    client.requests.set(id, taken)
    try {
      const results = await this.#options.engine.infer(model, version, inputs, {
        outputs,
        subject,
        priority,
        timeoutMs,
        requestId,
        signal: () => signalOf(taken),
        ...(frame.isUncached && { cache: 'skip' }),
        ...(frame.isWatched && { watch: (times) => send(client, { kind: 'times', id, times: this.#aged(times) }) }),
      })
      answer(client, id, results)
    } catch (error) {
      client.socket.send(KIND.failure, (buffer) => writeFailure(buffer, id, error))
    } finally {
      client.requests.delete(id)
    }
  }

  #aged({ takenMs, sentMs, endMs, error, ...times }: RunTimes): AgedTimes {
    const nowMs = this.#clock.now()
    return {
      ...times,
      takenAgo: nowMs - takenMs,
      ...(sentMs > 0 && { sentAgo: nowMs - sentMs }),
      endAgo: nowMs - endMs,
      ...(error !== undefined && { failure: failureOf(error) }),
    }
  }

  async #call(client: Client, frame: CallFrame): Promise<void> {
    const { id } = frame
    try {
      const value = await this.#do(client, frame)
      if (frame.call.what !== 'statistics') await this.#settle()
      send(client, { kind: 'returned', id, value })
    } catch (error) {
      send(client, { kind: 'threw', id, failure: failureOf(error) })
    }
  }

  async #do(client: Client, { id, call, mayAll, files }: CallFrame): Promise<unknown> {
    const { engine, done } = this.#options
    if (call.what === 'statistics') return engine.statistics()
    const { what, name, options: asked } = call
    const options = {
      ...asked,
      ...(!mayAll && { may: (permission: string) => this.#ask(client, { id, permission }) }),
      changed: (change: ModelChange) => {
        if (change.outcome === 'done') done?.({ what: change.action, name: change.model })
        send(client, { kind: 'changed', id, change })
      },
    }
    const isServing = () => engine.model(name)?.versions.some(({ state }) => state === 'ready') === true
    const wasServing = isServing()
    const change = { what, name, files, ...asked }
    try {
      const value =
        what === 'load' ? await engine.load(name, { ...options, ...(files && { files }) }) : await engine.unload(name, options)
      done?.(change)
      return value
    } catch (error) {
      // A load that failed leaves what served; where nothing did, what could be loaded serves now.
      if (!wasServing && isServing()) done?.(change)
      throw error
    }
  }

  /** Asks an HTTP process whether its caller has a permission; one that is gone has none. */
  #ask(client: Client, { id, permission }: { readonly id: number; readonly permission: string }): Promise<boolean> {
    return this.#question(client, (question) => ({ kind: 'may', id, question, permission }))
  }

  #question(client: Client, message: (question: number) => FromEngine): Promise<boolean> {
    if (client.isClosed) return Promise.resolve(false)
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const question = this.#lastQuestion++
    client.questions.set(question, resolve)
    send(client, message(question))
    return promise
  }

  /** Resolves once every HTTP process knows the change, so that no later request sees the old state. */
  async #settle(): Promise<void> {
    const known = [...this.#clients].map((client) => this.#question(client, (question) => ({ kind: 'settle', question })))
    const { promise, resolve } = Promise.withResolvers<void>()
    // A process that hangs delays no other.
    const timer = setTimeout(resolve, SETTLE_MS)
    await Promise.race([Promise.all(known), promise])
    clearTimeout(timer)
  }

  #closed(client: Client, reason: string | undefined): void {
    client.isClosed = true
    this.#clients.delete(client)
    if (reason !== undefined) this.#options.warn(`an HTTP process is cut off: ${reason}`)
    for (const taken of client.requests.values()) cancel(taken)
    for (const resolve of client.questions.values()) resolve(false)
    client.questions.clear()
    if (this.#clients.size === 0) this.#gone.resolve()
  }
}

function send({ socket }: Client, message: FromEngine): void {
  socket.send(KIND.message, (buffer) => writeMessage(buffer, message))
}

function answerQuestion({ questions }: Client, question: number, answer: boolean): void {
  questions.get(question)?.(answer)
  questions.delete(question)
}

function answer({ socket, answers, unread, isClosed }: Client, id: number, results: Awaited<ReturnType<Engine['infer']>>): void {
  if (isClosed) return
  try {
    socket.send(KIND.result, (buffer) => writeResult(buffer, id, results, answers.store))
  } catch (error) {
    answers.free(answers.taken())
    throw error
  }
  const blocks = answers.taken()
  if (blocks.length > 0) unread.set(id, blocks)
}

function cancel(taken: Taken | undefined): void {
  if (taken === undefined) return
  taken.isCancelled = true
  taken.controller?.abort()
}

/** Asked for once a request has waited for a while: most are answered before a signal is needed. */
function signalOf(taken: Taken): AbortSignal {
  taken.controller ??= new AbortController()
  if (taken.isCancelled) taken.controller.abort()
  return taken.controller.signal
}

/** A model with how those of its versions are served that are ready. */
function describe(engine: Engine, name: string): Described | undefined {
  const model = engine.model(name)
  if (model === undefined) return undefined
  const ready = model.versions.filter(({ state }) => state === 'ready')
  return { model, configurations: new Map(ready.map(({ version }) => [version, engine.configuration(name, version)])) }
}
