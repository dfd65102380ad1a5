import type { PermissionCheck } from '../../auth/permissions.ts'
import { VestalError } from '../../core/errors.ts'
import type { Engine, Model, ModelVersion } from '../../inference/engine.ts'
import type { EncodedAnswer } from '../../tensor/response.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import { type Coding, encode as compress, preferredCoding, type TooLargeText } from '../encodings.ts'
import { jsonTextResponse } from '../json.ts'
import { checkPriority, findModel, findReadyVersion } from '../model-access.ts'
import type { RequestHold, RequestMemory } from '../request-memory.ts'

/** Header that says how many bytes of JSON come before binary tensor data. */
export const HEADER_LENGTH = 'inference-header-content-length'

/** What computes a prediction: a model, and its version that is ready. */
export interface Target {
  readonly model: Model
  readonly version: ModelVersion
}

/** What a body, a row or a message asks a model to compute. */
export interface Question<Form> {
  readonly tensors: NamedTensors
  /** Names of the outputs to compute; all of them when absent. */
  readonly outputs?: readonly string[] | undefined
  readonly priority?: number | undefined
  /** Milliseconds that queueing and computing may take in all. */
  readonly timeoutMs?: number | undefined
  /** What the codec needs to write the answer. */
  readonly form: Form
}

/** A dialect: how it writes what is asked, and the answer. */
export interface Codec<Form> {
  /**
   * Reads what is asked, and checks it against the version that computes it.
   * @param jsonLength bytes of JSON before binary tensor data; absent where all of it is JSON
   * @throws VestalError BODY_INVALID, INPUT_INVALID, UNSUPPORTED
   */
  readonly decode: (bytes: Uint8Array, target: Target, jsonLength?: number) => Question<Form>
  readonly encode: (results: NamedTensors, form: Form, target: Target) => EncodedAnswer
}

/** A dialect of request bodies. */
export interface BodyCodec<Form> extends Codec<Form> {
  /** Reads from the headers how much of the body is JSON. @throws VestalError BODY_INVALID */
  readonly jsonLengthOf: (request: Request) => number | undefined
  /** The text for a body over the limit. */
  readonly tooLarge: (jsonLength: number | undefined) => TooLargeText | undefined
  /** Whether answers are compressed where the client accepts that. */
  readonly hasCompression: boolean
}

/** Who asks, and what serves the request. */
export interface Caller {
  readonly engine: Engine
  readonly memory: RequestMemory
  readonly request: Request
  /** The key of the principal. */
  readonly subject: string
  /** What the token grants. */
  readonly allows: PermissionCheck
}

export interface AskedModel {
  readonly name: string
  readonly version?: string
}

/**
 * Answers a request for a prediction whose token was checked: finds the version, reads and decodes the body, computes, encodes.
 * @throws VestalError for everything that the client can do wrong
 */
export async function predict<Form>(codec: BodyCodec<Form>, asked: AskedModel, caller: Caller): Promise<Response> {
  const { engine, memory, request, subject, allows } = caller
  const target = findTarget(engine, asked)
  const deadline = deadlineOf(request)
  const held = memory.open(request, subject)
  try {
    const jsonLength = codec.jsonLengthOf(request)
    const bytes = await held.read(codec.tooLarge(jsonLength))
    const { tensors, outputs, priority, timeoutMs, form } = codec.decode(bytes, target, jsonLength)
    checkPriority(priority, target.model, allows)
    held.handOver()
    const results = await engine.infer(target.model.name, target.version.version, tensors, {
      signal: () => request.signal,
      subject,
      requestId: memory.idOf(request),
      timeoutMs: leftOf(deadline, timeoutMs),
      priority,
      outputs,
    })
    held.computed(results)
    const response = respond(codec.encode(results, form, target), { request, held, hasCompression: codec.hasCompression })
    return response instanceof Promise ? await response : response
  } finally {
    held.close()
  }
}

/** Who sends rows of a stream or messages of a socket. */
export interface PartCaller {
  readonly engine: Engine
  /** The model's name. */
  readonly name: string
  readonly subject: string
  readonly allows: PermissionCheck
  readonly signal: AbortSignal
  /** The request of the stream, whose header limits the time of each row; a socket's has none. */
  readonly request?: Request
}

/**
 * Answers a row of a stream, or a message of a socket. The version is found for each, so that a reload meanwhile is no failure, and
 * where the queue is full it waits.
 * @throws VestalError for everything that the client can do wrong
 */
export async function predictPart<Form>(codec: Codec<Form>, bytes: Uint8Array, caller: PartCaller): Promise<EncodedAnswer> {
  const { engine, subject, allows, signal, request } = caller
  const target = findTarget(engine, caller)
  const { model, version } = target
  const deadline = deadlineOf(request)
  const { tensors, outputs, priority, timeoutMs, form } = codec.decode(bytes, target)
  checkPriority(priority, model, allows)
  const options = { signal, subject, timeoutMs: leftOf(deadline, timeoutMs), priority, outputs }
  const results = await withPatience(() => engine.infer(model.name, version.version, tensors, options), signal)
  return codec.encode(results, form, target)
}

/** @throws VestalError MODEL_UNKNOWN, MODEL_UNAVAILABLE */
function findTarget(engine: Engine, { name, version }: AskedModel): Target {
  const model = findModel(engine, name)
  return { model, version: findReadyVersion(model, version) }
}

/** When a request came, and how long its header lets it take. */
interface Deadline {
  readonly begunMs: number
  readonly headerMs: number
}

/** Longest that a request may give itself: a day. */
const TIMEOUT_MS_MAX = 86_400_000

/**
 * Starts the clock of a request that may have `Vestal-Timeout-Ms`. All times count from here, so reading the body counts too.
 * @throws VestalError BODY_INVALID when the header is no number of milliseconds
 */
function deadlineOf(request: Request | undefined): Deadline {
  const begunMs = performance.now()
  const header = request?.headers.get('vestal-timeout-ms') ?? null
  return { begunMs, headerMs: header === null ? Number.POSITIVE_INFINITY : readMs(header) }
}

function readMs(header: string): number {
  const ms = /^\d{1,9}(?:\.\d{1,3})?$/.test(header) ? Number(header) : Number.NaN
  if (ms > 0 && ms <= TIMEOUT_MS_MAX) return ms
  throw new VestalError('BODY_INVALID', {
    detail: `the header Vestal-Timeout-Ms must be a number of milliseconds, more than 0 and at most ${TIMEOUT_MS_MAX}`,
  })
}

/**
 * The milliseconds left of the header's time, or of the parameter's where that is less; undefined when neither is set.
 * @throws VestalError QUEUE_TIMEOUT where there are none: nothing was computed
 */
function leftOf({ begunMs, headerMs }: Deadline, parameterMs = Number.POSITIVE_INFINITY): number | undefined {
  const allowedMs = Math.min(headerMs, parameterMs)
  if (allowedMs === Number.POSITIVE_INFINITY) return undefined
  const leftMs = allowedMs - (performance.now() - begunMs)
  if (leftMs <= 0) throw new VestalError('QUEUE_TIMEOUT')
  return Math.min(leftMs, TIMEOUT_MS_MAX)
}

interface Responding {
  readonly request: Request
  readonly held: RequestHold
  readonly hasCompression: boolean
}

function respond({ json, blobs }: EncodedAnswer, { request, held, hasCompression }: Responding): Response | Promise<Response> {
  const coding = hasCompression ? preferredCoding(request.headers.get('accept-encoding')) : undefined
  if (blobs.length === 0 && coding === undefined) return held.answer(jsonTextResponse(json), json.length)
  return respondInBytes({ json, blobs }, coding, held)
}

async function respondInBytes({ json, blobs }: EncodedAnswer, coding: Coding | undefined, held: RequestHold): Promise<Response> {
  const { bytes, jsonLength } = joined(json, blobs)
  const headers: Record<string, string> =
    blobs.length === 0
      ? { 'content-type': 'application/json' }
      : { 'content-type': 'application/octet-stream', [HEADER_LENGTH]: String(jsonLength) }
  if (coding === undefined) return held.answer(new Response(bytes, { headers }), bytes.length)
  held.make(bytes.length)
  const encoded = await compress(bytes, coding)
  const encodedHeaders = { ...headers, 'content-encoding': coding, vary: 'accept-encoding' }
  return held.answer(new Response(encoded, { headers: encodedHeaders }), encoded.length)
}

/** The two parts of an answer in one piece, each copied once. */
export function joined(json: string, blobs: readonly Uint8Array[]) {
  const jsonLength = Buffer.byteLength(json)
  const bytes = Buffer.allocUnsafe(blobs.reduce((sum, { length }) => sum + length, jsonLength))
  bytes.write(json, 0, 'utf8')
  let position = jsonLength
  for (const blob of blobs) {
    bytes.set(blob, position)
    position += blob.length
  }
  return { bytes, jsonLength }
}

/** Codes that say that there is no room for now. */
const FULL = new Set<string>(['QUEUE_FULL', 'SUBJECT_LIMIT', 'MEMORY_LIMIT', 'SUBJECT_MEMORY_LIMIT'])
const FIRST_WAIT_MS = 10
const WAIT_MS_MAX = 1000
/** About 20 seconds in all. */
const TRIES_MAX = 26

/**
 * Does work that a full queue may reject, and tries again while it does: a client that sends row after row is slowed down, not rejected.
 * @throws what the work throws at last; VestalError REQUEST_ABORTED once the signal aborts
 */
export async function withPatience<Result>(work: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work()
    } catch (error) {
      const isFull = error instanceof VestalError && FULL.has(error.code)
      if (!isFull || tries === TRIES_MAX) throw error
      await wait(Math.min(WAIT_MS_MAX, FIRST_WAIT_MS * 2 ** (tries - 1)), signal)
    }
  }
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) throw new VestalError('REQUEST_ABORTED')
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const giveUp = () => {
    clearTimeout(timer)
    reject(new VestalError('REQUEST_ABORTED'))
  }
  const timer = setTimeout(() => {
    signal.removeEventListener('abort', giveUp)
    resolve()
  }, ms)
  signal.addEventListener('abort', giveUp, { once: true })
  return promise
}
