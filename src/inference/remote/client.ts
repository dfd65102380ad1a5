import { type Clock, SYSTEM_CLOCK } from '../../core/clock.ts'
import { VestalError } from '../../core/errors.ts'
import { invariant, never } from '../../core/invariant.ts'
import { type LedgerLimits, MemoryLedger, withShare } from '../../core/memory-ledger.ts'
import { broken, type FrameCursor } from '../../processes/frames.ts'
import { type MessageSocket, openMessageSocket } from '../../processes/message-socket.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import type { ControlOptions, Engine, InferOptions, KeptModel, LoadOptions, ModelChange, UnloadOptions } from '../engine.ts'
import { indexOf } from '../repository/index-entries.ts'
import { PermissionLookup } from '../repository/permission-lookup.ts'
import type { ModelLoss } from '../runner.ts'
import type { ModelStatistics } from '../statistics.ts'
import { AreaReader, ExchangeArea } from './exchange-area.ts'
import { type Link, REST_MS } from './link.ts'
import { type Pending, PendingRequests } from './pending-requests.ts'
import {
  type AgedTimes,
  type Call,
  type CallFrame,
  type CallResults,
  type EngineHello,
  errorOf,
  type FromEngine,
  KIND,
  readFailure,
  readHello,
  readMessage,
  readResult,
  type ToEngine,
  writeCall,
  writeHello,
  writeInfer,
  writeMessage,
} from './protocol.ts'
import { RejectionNotes } from './rejection-notes.ts'
import { Snapshot } from './snapshot.ts'

export interface RemoteEngineOptions {
  /** Bytes that this process may hold for requests. */
  readonly limits: LedgerLimits
  /** Called for each model that the engine has changed by itself; in one of the processes. */
  readonly changed?: (change: ModelChange) => void
  /** The same of each worker process that ended by itself. */
  readonly modelLost?: (loss: ModelLoss) => void
  /** Called when the engine process is gone, with the reason where it did not just end. */
  readonly lost?: (reason: string | undefined) => void
  readonly clock?: Clock
}

/** An engine in another process, as this one has it. */
export interface RemoteEngine {
  readonly engine: Engine
  /** Resolves once an engine process has sent its models. */
  readonly ready: Promise<void>
  /** Whether an engine process is there. */
  readonly isConnected: boolean
  /** Speaks to the engine process at the other end of a link from now on. */
  attach(link: Link): void
  /** What the models have done. @throws VestalError ENGINE_LOST */
  statistics(): Promise<readonly ModelStatistics[]>
}

interface OpenCall {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  readonly control: ControlOptions
}

const AWAY = 'the engine process is away: predictions are rejected until it is back'
const RETRY = { headers: { 'retry-after': '1' } }

/** Gives an engine that computes in the process at the other end of a link; while there is none, what needs it is rejected. */
export function createRemoteEngine(options: RemoteEngineOptions): RemoteEngine {
  const client = new RemoteClient(options)
  const { snapshot, memory } = client
  const engine: Engine = {
    memory,
    models: () => snapshot.models(),
    model: (name) => snapshot.model(name),
    subscribe: (listener) => snapshot.subscribe(listener),
    permission: (name, action) => client.permissions().of(name, action),
    troubles: () => (client.isConnected ? snapshot.troubles : [AWAY]),
    isReady: () => client.isConnected && snapshot.isReady,
    infer: (model, version, inputs, asked = {}) => client.infer({ model, version, inputs }, asked),
    // What was last fetched; `statistics()` of the remote engine fetches.
    statistics: (model, version) =>
      client.statistics.filter(
        (row) => (model === undefined || row.model === model) && (version === undefined || row.version === version),
      ),
    load: (name, asked = {}) => client.load(name, asked),
    unload: (name, asked = {}) => client.unload(name, asked),
    index: () => indexOf(snapshot.models()),
    configuration: (name, version) => snapshot.configuration(name, version),
    limit: (limits) => memory.limit(withShare(limits)),
    stop: () => client.stop(),
  }
  return {
    engine,
    ready: client.ready,
    get isConnected() {
      return client.isConnected
    },
    attach: (link) => client.attach(link),
    statistics: () => client.fetchStatistics(),
  }
}

/** What one link is used for. */
interface Connection {
  readonly socket: MessageSocket
  readonly requests: ExchangeArea
  readonly answers: AreaReader
  readonly pending: PendingRequests
  readonly calls: Map<number, OpenCall>
  hello: EngineHello | undefined
  /** True once the other side has sent its models. */
  isUsable: boolean
}

class RemoteClient {
  readonly #options: RemoteEngineOptions
  readonly #clock: Clock
  readonly memory: MemoryLedger
  readonly snapshot = new Snapshot()
  readonly #ready = Promise.withResolvers<void>()
  #connection: Connection | undefined
  #permissions: PermissionLookup | undefined
  readonly #rejections: RejectionNotes
  #lastCall = 0
  #statistics: readonly ModelStatistics[] = []
  #isStopping = false
  readonly #stopped = Promise.withResolvers<void>()

  constructor(options: RemoteEngineOptions) {
    this.#options = options
    this.#clock = options.clock ?? SYSTEM_CLOCK
    this.memory = new MemoryLedger(withShare(options.limits))
    this.#rejections = new RejectionNotes(this.#clock, (rejections) => {
      if (this.#connection?.isUsable === true) send(this.#connection, { kind: 'rejected', rejections })
    })
  }

  get ready(): Promise<void> {
    return this.#ready.promise
  }

  get isConnected(): boolean {
    return this.#connection?.isUsable === true
  }

  get statistics(): readonly ModelStatistics[] {
    return this.#statistics
  }

  permissions(): PermissionLookup {
    invariant(this.#permissions !== undefined, 'permissions are asked for once an engine process was there')
    return this.#permissions
  }

  /** Uses a link in place of the one before, which another engine process was at the end of. */
  attach(link: Link): void {
    const before = this.#connection
    this.#connection = undefined
    before?.socket.end()
    this.#closed(before, undefined)
    const requests = new ExchangeArea(link.requests)
    const answers = new AreaReader(link.answers)
    const socket = openMessageSocket(link.socket, {
      frame: (cursor) => this.#received(connection, cursor),
      closed: (reason) => {
        clearInterval(rest)
        requests.close()
        answers.close()
        this.#closed(connection, reason)
      },
    })
    const pending = new PendingRequests({
      clock: this.#clock,
      memory: this.memory,
      cancelled: ({ id }) => socket.send(KIND.cancel, (buffer) => buffer.count(id)),
    })
    const rest = setInterval(() => requests.rest(), REST_MS)
    rest.unref()
    const connection: Connection = { socket, requests, answers, pending, calls: new Map(), hello: undefined, isUsable: false }
    this.#connection = connection
    socket.send(KIND.hello, (buffer) => writeHello(buffer, undefined))
  }

  infer(
    asked: { readonly model: string; readonly version: string; readonly inputs: NamedTensors },
    options: InferOptions,
  ): Promise<NamedTensors> {
    const { socket, pending, requests } = this.#usable()
    if (this.snapshot.isComing(asked.model)) throw new VestalError('ENGINE_LOST', RETRY)
    const { outputs, priority, timeoutMs, watch } = options
    const { request, answer } = this.#open(asked, options)
    const frame = {
      ...asked,
      id: request.id,
      outputs,
      // Requests without a subject share one place.
      subject: options.subject,
      priority,
      timeoutMs,
      requestId: options.requestId,
      isUncached: options.cache === 'skip',
      isWatched: watch !== undefined,
    }
    try {
      socket.send(KIND.infer, (buffer) => writeInfer(buffer, frame, requests.store))
    } catch (error) {
      requests.free(requests.taken())
      pending.close(request)
      throw error
    }
    request.blocks = requests.taken()
    pending.watch(request)
    return answer
  }

  /** Statistics of models are the engine process's, which does not see what is rejected here. */
  #open(
    asked: { readonly model: string; readonly version: string; readonly inputs: NamedTensors },
    options: InferOptions,
  ): ReturnType<PendingRequests['open']> {
    const { pending, hello } = this.#usable()
    try {
      return pending.open(asked.inputs, options, hello?.timeoutMs ?? Number.POSITIVE_INFINITY)
    } catch (error) {
      this.#rejections.note(asked, error)
      throw error
    }
  }

  async load(name: string, { may, changed, files, ...options }: LoadOptions): Promise<void> {
    await this.#call({ what: 'load', name, options }, { control: { ...(may && { may }), ...(changed && { changed }) }, files })
  }

  unload(name: string, { may, changed, ...options }: UnloadOptions): Promise<readonly KeptModel[]> {
    return this.#call({ what: 'unload', name, options }, { control: { ...(may && { may }), ...(changed && { changed }) } })
  }

  async fetchStatistics(): Promise<readonly ModelStatistics[]> {
    this.#rejections.send()
    this.#statistics = await this.#call({ what: 'statistics' }, { control: {} })
    return this.#statistics
  }

  /** Sends nothing new, and ends once all that was sent is answered. */
  stop(): Promise<void> {
    this.#isStopping = true
    this.#endIfDone()
    return this.#stopped.promise
  }

  #usable(): Connection {
    if (this.#isStopping) throw new VestalError('SERVER_STOPPING', RETRY)
    if (this.#connection?.isUsable !== true) throw new VestalError('ENGINE_LOST', RETRY)
    return this.#connection
  }

  async #call<What extends Call['what']>(
    call: Call & { readonly what: What },
    { control, files }: { readonly control: ControlOptions; readonly files?: CallFrame['files'] },
  ): Promise<CallResults[What]> {
    const { socket, calls, requests } = this.#usable()
    const id = this.#lastCall++
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const frame = { id, call, mayAll: control.may === undefined, files }
    try {
      socket.send(KIND.call, (buffer) => writeCall(buffer, frame, requests.store))
    } catch (error) {
      requests.free(requests.taken())
      throw error
    }
    const blocks = requests.taken()
    calls.set(id, { resolve, reject, control })
    try {
      // The cast: what a call gives is known by what it is.
      return (await promise) as CallResults[What]
    } finally {
      calls.delete(id)
      requests.free(blocks)
      this.#endIfDone()
    }
  }

  #received(connection: Connection, cursor: FrameCursor): void {
    const kind = cursor.byte()
    if (connection.hello === undefined) {
      const hello = kind === KIND.hello ? readHello(cursor) : undefined
      if (hello === undefined) broken('the first frame is no greeting')
      connection.hello = hello
    } else if (kind === KIND.result || kind === KIND.failure) this.#answered(connection, kind, cursor)
    else if (kind === KIND.message) this.#messageReceived(connection, readMessage<FromEngine>(cursor))
    else broken('a frame of an unknown kind')
  }

  #answered({ pending, requests, answers, socket }: Connection, kind: number, cursor: FrameCursor): void {
    const id = cursor.count()
    const request = pending.get(id)
    if (request === undefined) broken('an answer without a request')
    const reads = answers.reads
    const outcome = kind === KIND.result ? readResult(cursor, answers.read) : readFailure(cursor)
    // The other side may use that memory again.
    if (answers.reads !== reads) socket.send(KIND.read, (buffer) => buffer.count(id))
    requests.free(request.blocks)
    pending.close(request)
    if (!request.isAnswered) {
      if (outcome instanceof Error) request.reject(outcome)
      else request.resolve(outcome)
    }
    this.#endIfDone()
  }

  #messageReceived(connection: Connection, message: FromEngine): void {
    if (message.kind === 'state') this.#learned(connection, message)
    else if (message.kind === 'times') this.#timed(connection.pending.get(message.id), message.times)
    else if (message.kind === 'returned') connection.calls.get(message.id)?.resolve(message.value)
    else if (message.kind === 'threw') connection.calls.get(message.id)?.reject(errorOf(message.failure))
    else if (message.kind === 'may') void this.#grant(connection, message)
    else if (message.kind === 'changed') connection.calls.get(message.id)?.control.changed?.(message.change)
    else if (message.kind === 'noted') this.#options.changed?.(message.change)
    else if (message.kind === 'lost') this.#options.modelLost?.(message.loss)
    else if (message.kind === 'settle') send(connection, { kind: 'settled', question: message.question })
    else never(message)
  }

  #learned(connection: Connection, state: FromEngine & { readonly kind: 'state' }): void {
    if (connection !== this.#connection) return
    const { modelsDirectory, hadFolder } = connection.hello ?? {}
    this.snapshot.take(state)
    if (connection.isUsable) return
    connection.isUsable = true
    this.#permissions = new PermissionLookup(
      { ...(modelsDirectory !== undefined && { modelsDirectory }) },
      (name) => this.snapshot.model(name)?.permissions,
      hadFolder,
    )
    this.#ready.resolve()
  }

  #timed(request: Pending | undefined, { takenAgo, sentAgo, endAgo, failure, ...times }: AgedTimes): void {
    const nowMs = this.#clock.now()
    request?.watch?.({
      ...times,
      takenMs: nowMs - takenAgo,
      sentMs: sentAgo === undefined ? 0 : nowMs - sentAgo,
      endMs: nowMs - endAgo,
      ...(failure && { error: errorOf(failure) }),
    })
  }

  async #grant(connection: Connection, { id, question, permission }: FromEngine & { readonly kind: 'may' }): Promise<void> {
    const may = connection.calls.get(id)?.control.may
    // A permission question for a call that is no longer pending is denied.
    const isGranted = may !== undefined && (await may(permission))
    send(connection, { kind: 'granted', question, isGranted })
  }

  #closed(connection: Connection | undefined, reason: string | undefined): void {
    if (connection === undefined) return
    const lost = () => new VestalError('ENGINE_LOST', RETRY)
    connection.pending.failAll(lost)
    for (const { reject } of connection.calls.values()) reject(lost())
    if (connection === this.#connection) {
      this.#connection = undefined
      if (!this.#isStopping) this.#options.lost?.(reason)
    }
    this.#endIfDone()
  }

  #endIfDone(): void {
    if (!this.#isStopping || (this.#connection?.pending.size ?? 0) + (this.#connection?.calls.size ?? 0) > 0) return
    this.#connection?.socket.end()
    this.#connection = undefined
    this.#stopped.resolve()
  }
}

function send({ socket }: Connection, message: ToEngine): void {
  socket.send(KIND.message, (buffer) => writeMessage(buffer, message))
}
