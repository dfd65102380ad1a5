import { Elysia } from 'elysia'
import type { Authenticator } from '../../auth/authenticator.ts'
import type { PermissionCheck } from '../../auth/permissions.ts'
import { VestalError } from '../../core/errors.ts'
import { invariant } from '../../core/invariant.ts'
import { isFull, withPatience } from '../../core/patience.ts'
import { nextOf, pictureInputOf, streamOf } from '../../inference/code/code-values.ts'
import type { Engine } from '../../inference/engine.ts'
import { answerTask, taskQuestion } from '../../tasks/bodies/answer-task.ts'
import type { TaskCall, TaskLimits } from '../../tasks/call.ts'
import type { EncodedAnswer } from '../../tensor/response.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import { guard } from '../authentication.ts'
import { type Coding, encode as compress, preferredCoding } from '../encodings.ts'
import { jsonTextResponse } from '../json.ts'
import { checkCalls, checkPriority, findModel, findReadyVersion, permissionTo } from '../model-access.ts'
import { MODEL_DETAIL } from '../openapi/models.ts'
import { INFER_DETAIL } from '../openapi/open-inference.ts'
import type { RequestHold, RequestMemory } from '../request-memory.ts'
import type { BodyThreads } from './body-threads.ts'
import { checkDecoded, pictureBody } from './code-pictures.ts'
import {
  type AskedTask,
  type BodyCodec,
  type Codec,
  HEADER_LENGTH,
  type Question,
  type Target,
  type TaskCodec,
  type TaskTarget,
} from './codec.ts'
import { openInference } from './open-inference.ts'
import type { PictureDecoders } from './picture-decoders.ts'
import { tensorOfPictures } from './picture-inputs.ts'
import { rows } from './rows.ts'
import type { SocketState } from './socket-state.ts'
import { taskBody } from './tasks.ts'

export interface PredictionOptions {
  readonly engine: Engine
  readonly authenticator: Authenticator
  readonly memory: RequestMemory
  /** Decodes pictures; without it models of pictures take tensors only. */
  readonly pictures?: PictureDecoders | undefined
  /** Reads large bodies; without it they are read on the thread that answers. */
  readonly bodies?: BodyThreads | undefined
  /** How much a request for a task may bring. */
  readonly taskLimits?: TaskLimits | undefined
}

/** The routes of predictions: each chooses its dialect, and everything else is done in one place. */
export function predictions({ engine, authenticator, memory, pictures, bodies, taskLimits }: PredictionOptions) {
  const served = { engine, memory, pictures, bodies, taskLimits }
  const permissions = permissionTo('predict', engine)
  const inRows = { permissions, parse: 'none', detail: MODEL_DETAIL.predict } as const
  const inTensors = { permissions, parse: 'none', detail: INFER_DETAIL } as const
  return new Elysia({ name: 'predictions' })
    .use(guard(authenticator))
    .onStop(() => {
      pictures?.close()
      bodies?.close()
    })
    .post(
      '/models/:name/predict/',
      ({ params, request, token }) =>
        predictRows(params, { ...served, request, subject: token.principal.key, allows: token.allows }),
      inRows,
    )
    .post(
      '/v2/models/:name/infer',
      ({ params, request, token }) =>
        predict(openInference, params, { ...served, request, subject: token.principal.key, allows: token.allows }),
      inTensors,
    )
    .post(
      '/v2/models/:name/versions/:version/infer',
      ({ params, request, token }) =>
        predict(openInference, params, { ...served, request, subject: token.principal.key, allows: token.allows }),
      inTensors,
    )
}

/** Who asks, and what serves the request. */
export interface Caller extends Omit<PredictionOptions, 'authenticator'> {
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

/** Answers a body of rows: those of the task where the model has one, and of tensors elsewhere. */
function predictRows(asked: AskedModel, caller: Caller): Promise<Response> {
  const { version } = findTarget(caller.engine, asked, caller.allows)
  if (version.task !== undefined) return predictTask(taskBody, asked, caller)
  const isOfPictures = version.code?.input.form === 'image'
  return predict(isOfPictures ? pictureBody(caller.request.headers.get('content-type')) : rows, asked, caller)
}

/**
 * Answers a request for a prediction whose token was checked: finds the version, reads and decodes the body, computes, encodes.
 * @throws VestalError for everything that the client can do wrong
 */
export async function predict<Form>(codec: BodyCodec<Form>, asked: AskedModel, caller: Caller): Promise<Response> {
  const { engine, memory, request, subject, allows } = caller
  const target = findTarget(engine, asked, allows)
  const deadline = deadlineOf(request)
  const held = memory.open(request, subject)
  try {
    const jsonLength = codec.jsonLengthOf(request)
    const bytes = await held.read(codec.tooLarge(jsonLength))
    const decoded = readQuestion(codec, { bytes, jsonLength, target, deadline }, caller)
    const question = decoded instanceof Promise ? await decoded : decoded
    const { outputs, priority, timeoutMs, form } = question
    checkPriority(priority, target.model, allows)
    const tensors =
      question.pictures === undefined ? question.tensors : await withPictures(question, { ...target, deadline }, caller)
    held.handOver(bytes)
    const results = await engine.infer(target.model.name, target.version.version, tensors, {
      signal: () => request.signal,
      subject,
      requestId: memory.idOf(request),
      timeoutMs: leftOf(deadline, timeoutMs),
      priority,
      outputs,
    })
    held.computed(results)
    const responding = { request, held, hasCompression: codec.hasCompression }
    const writing = writtenApart(codec, { results, form, target }, { held, caller })
    const json = writing && (await writing)
    const response = json === undefined ? respond(codec.encode(results, form, target), responding) : respondJson(json, responding)
    return response instanceof Promise ? await response : response
  } finally {
    held.close()
  }
}

/** From this size on, JSON is read on another thread: the way there costs about as much as reading this. */
const THREAD_BYTES_MIN = 128 * 1024

interface ReadBody {
  readonly bytes: Uint8Array
  readonly jsonLength: number | undefined
  readonly target: Target
  readonly deadline: Deadline
}

/** What a body asks, read on another thread where its JSON is large. @throws VestalError as the codec and the threads */
function readQuestion<Form>(
  codec: BodyCodec<Form>,
  { bytes, jsonLength, target, deadline }: ReadBody,
  { bodies, subject, request }: Caller,
): Question<Form> | Promise<Question<Form>> {
  const { name } = codec
  if (name === undefined || bodies === undefined || (jsonLength ?? bytes.length) < THREAD_BYTES_MIN)
    return codec.decode(bytes, target, jsonLength)
  // The cast: a body's memory is not shared.
  // What came in pieces may be the memory of a caller within this process, who goes on to use it.
  const own = request.headers.has('content-length') ? bytes : bytes.slice()
  const job = { kind: 'read', codec: name, bytes: own as Uint8Array<ArrayBuffer>, jsonLength, target } as const
  const check = () => checkNotOver(request.signal, deadline)
  // The cast: the thread has the same codec.
  const read = bodies.read(job, { subject, check }) as Promise<Question<Form> | undefined>
  return read.then((question) => question ?? codec.decode(bytes, target, jsonLength))
}

/** Answers in JSON from so many elements on are written on another thread. */
const THREAD_ELEMENTS_MIN = 16_384

/** A large answer in JSON, which another thread has written; undefined where it is to be written here. @throws VestalError as the threads */
function writtenApart<Form>(
  { name, elementsInJson }: BodyCodec<Form>,
  { results, form, target }: { readonly results: NamedTensors; readonly form: Form; readonly target: Target },
  { held, caller: { bodies, subject, request } }: { readonly held: RequestHold; readonly caller: Caller },
): Promise<Uint8Array<ArrayBuffer> | undefined> | undefined {
  if (name === undefined || bodies === undefined || elementsInJson === undefined) return undefined
  if (elementsInJson(results, form) < THREAD_ELEMENTS_MIN) return undefined
  const check = () => {
    if (request.signal.aborted) throw new VestalError('REQUEST_ABORTED')
    // The thread gets a copy.
    for (const { data } of results.values()) held.grow(ArrayBuffer.isView(data) ? data.byteLength : 0)
  }
  return bodies.write({ kind: 'write', codec: name, results, form, target }, { subject, check })
}

/** The tensors of a question whose image input came as pictures. @throws VestalError INPUT_INVALID, MEDIA_UNREADABLE, UNSUPPORTED */
async function withPictures<Form>(
  { tensors, pictures = [] }: Question<Form>,
  { version, deadline }: Target & { readonly deadline: Deadline },
  { pictures: decoders, subject, request }: Caller,
): Promise<NamedTensors> {
  const input = pictureInputOf(version)
  invariant(input !== undefined, 'pictures are taken from a request where the model has an image input')
  if (decoders === undefined) throw new VestalError('UNSUPPORTED', { detail: 'Pictures are not decoded here; send the tensor' })
  const decoder = decoders.of(subject, () => checkNotOver(request.signal, deadline))
  const tensor = await tensorOfPictures(pictures, { input, decoder })
  if (version.code !== undefined) checkDecoded(tensor)
  return new Map([...tensors, [input.input, tensor]])
}

/** An answer that fits into a few packets is sent as it is: to compress a vector takes the server longer than all else of its request. */
const COMPRESSED_CHARACTERS_MIN = 16 * 1024

/**
 * Answers a request for what a model is for, whose token was checked: finds the version, reads and decodes the body, computes row by row,
 * encodes. Whatever is still queued when it fails is given up.
 * @param asked the model, or what finds it in the body, and checks that the caller may ask it
 * @throws VestalError for everything that the client can do wrong; TASK_MISMATCH where the model takes tensors only
 */
export async function predictTask<Asked>(
  codec: TaskCodec<Asked>,
  asked: AskedModel | ((bytes: Uint8Array) => AskedModel),
  caller: Caller,
): Promise<Response> {
  const { engine, memory, pictures, request, subject } = caller
  const named = typeof asked === 'function' ? undefined : taskTargetOf(findTarget(engine, asked, caller.allows))
  const deadline = deadlineOf(request)
  const held = memory.open(request, subject)
  const stop = new AbortController()
  const signal = AbortSignal.any([request.signal, stop.signal])
  try {
    const bytes = await held.read(codec.tooLarge, Math.min(codec.bytesMax ?? memory.bodyBytesMax, memory.bodyBytesMax))
    const target = named ?? taskTargetOf(findTarget(engine, typeof asked === 'function' ? asked(bytes) : asked, caller.allows))
    const question = await codec.decode({ bytes, contentType: request.headers.get('content-type'), request }, target)
    const call: TaskCall = {
      task: target.task,
      inputs: target.version.inputs,
      infer: inferOf(caller, { target, deadline, signal }),
      signal,
      subject,
      leftMs: () => leftOf(deadline),
      hold: (more) => held.grow(more),
      ...(pictures && { pictures: pictures.of(subject, () => checkNotOver(signal, deadline)) }),
      ...(caller.taskLimits && { limits: caller.taskLimits }),
    }
    const answer = await codec.answer(question, call, target)
    held.make(answer.blobs.reduce((sum, { length }) => sum + length, answer.json.length))
    return await respond(answer, { request, held, hasCompression: answer.json.length >= COMPRESSED_CHARACTERS_MIN })
  } finally {
    stop.abort()
    held.close()
  }
}

function taskTargetOf(target: Target): TaskTarget {
  const { task } = target.version
  if (task !== undefined) return { ...target, task }
  throw new VestalError('TASK_MISMATCH', { detail: `The model '${target.model.name}' takes tensors only` })
}

interface Bound {
  readonly target: TaskTarget
  readonly deadline: Deadline
  readonly signal: AbortSignal
}

/**
 * The engine for one request: its first row is rejected where the queue is full. Of the others, what finds no place waits until rows of
 * the same request are done: their places become free.
 */
function inferOf({ engine, memory, request, subject }: Caller, { target, deadline, signal }: Bound): TaskCall['infer'] {
  const { model, version } = target
  const requestId = memory.idOf(request)
  const waiting: (() => void)[] = []
  let running = 0
  let hasBegun = false
  const compute: TaskCall['infer'] = (inputs, { outputs } = {}) =>
    engine.infer(model.name, version.version, inputs, { signal, subject, requestId, timeoutMs: leftOf(deadline), outputs })
  const computeInTurn: TaskCall['infer'] = async (...asked) => {
    for (;;) {
      running += 1
      const isAlone = running === 1
      try {
        const results = await (isAlone ? withPatience(() => compute(...asked), signal) : compute(...asked))
        running -= 1
        // Two, so that the request has as many rows at once again as there are places.
        waiting.shift()?.()
        waiting.shift()?.()
        return results
      } catch (error) {
        running -= 1
        if (!isFull(error) || isAlone) throw error
      }
      // Where none is left to wait for, it tries again alone, and with patience.
      if (running > 0) await new Promise<void>((resolve) => void waiting.push(resolve))
    }
  }
  return (...asked) => {
    if (hasBegun) return computeInTurn(...asked)
    hasBegun = true
    running += 1
    return compute(...asked).finally(() => {
      running -= 1
      waiting.shift()?.()
      waiting.shift()?.()
    })
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
  /** How much a row or a message for a task may bring. */
  readonly taskLimits?: TaskLimits | undefined
  /** What the socket's models carry from message to message. */
  readonly state?: SocketState
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
  const found = findTarget(engine, caller, allows)
  const { model, version } = found
  const carried = caller.state?.of(found)
  const target = carried?.target ?? found
  const deadline = deadlineOf(request)
  const asked = version.task?.text === undefined ? undefined : codec.taskIn?.(bytes)
  if (asked !== undefined) return answerPart(asked, taskTargetOf(target), { caller, deadline })
  const { tensors, pictures, outputs, priority, timeoutMs, form } = codec.decode(bytes, target)
  if (pictures !== undefined) throw new VestalError('UNSUPPORTED', { detail: 'Pictures are taken by POST; send the tensor here' })
  checkPriority(priority, model, allows)
  const options = { signal, subject, timeoutMs: leftOf(deadline, timeoutMs), priority, outputs }
  if (carried === undefined) {
    const results = await withPatience(() => engine.infer(model.name, version.version, tensors, options), signal)
    return codec.encode(results, form, target)
  }
  const fed = carried.feed(tensors)
  const own = { ...options, outputs: carried.outputs(outputs), cache: 'skip' } as const
  const results = await withPatience(() => engine.infer(model.name, version.version, fed, own), signal)
  return codec.encode(carried.keep(results), form, target)
}

/**
 * Answers a row of a stream to a model that yields outputs: each as it is yielded. The next is asked for once the one before was read.
 * @throws VestalError for everything that the client can do wrong
 */
export async function* predictOutputs<Form>(
  codec: Codec<Form>,
  bytes: Uint8Array,
  caller: PartCaller,
): AsyncGenerator<EncodedAnswer, void> {
  const { engine, subject, allows, signal, request } = caller
  const target = findTarget(engine, caller, allows)
  const { model, version } = target
  const { tensors, form } = codec.decode(bytes, target)
  let asked = nextOf('', tensors)
  for (;;) {
    const deadline = deadlineOf(request)
    const results = await withPatience(
      () => engine.infer(model.name, version.version, asked, { signal, subject, timeoutMs: leftOf(deadline) }),
      signal,
    )
    const stream = streamOf(results)
    if (stream === undefined) return
    yield codec.encode(results, form, target)
    asked = nextOf(stream)
  }
}

/** Answers what a row or a message asks of a model of texts. @throws VestalError as the operations */
async function answerPart(
  { input, parameters, write }: AskedTask,
  { model, version, task }: TaskTarget,
  { caller: { engine, subject, signal, taskLimits }, deadline }: { readonly caller: PartCaller; readonly deadline: Deadline },
): Promise<EncodedAnswer> {
  const infer: TaskCall['infer'] = (tensors, { outputs } = {}) =>
    withPatience(
      () => engine.infer(model.name, version.version, tensors, { signal, subject, timeoutMs: leftOf(deadline), outputs }),
      signal,
    )
  const leftMs = () => leftOf(deadline)
  const call: TaskCall = {
    task,
    inputs: version.inputs,
    infer,
    signal,
    subject,
    leftMs,
    ...(taskLimits && { limits: taskLimits }),
  }
  const json = await answerTask(taskQuestion(task, input, parameters), call)
  return { json: write(json), blobs: [] }
}

/** @throws VestalError MODEL_UNKNOWN, MODEL_UNAVAILABLE, PERMISSION_MISSING for a model that this one calls */
function findTarget(engine: Engine, { name, version }: AskedModel, allows: PermissionCheck): Target {
  const model = findModel(engine, name)
  const found = findReadyVersion(model, version)
  checkCalls(name, found, { engine, allows })
  return { model, version: found }
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

/** @throws VestalError REQUEST_ABORTED where the client has gone, QUEUE_TIMEOUT where its deadline has passed */
function checkNotOver(signal: AbortSignal, deadline: Deadline): void {
  if (signal.aborted) throw new VestalError('REQUEST_ABORTED')
  leftOf(deadline)
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

/** The same of JSON that is bytes already. */
async function respondJson(json: Uint8Array<ArrayBuffer>, { request, held, hasCompression }: Responding): Promise<Response> {
  const coding = hasCompression ? preferredCoding(request.headers.get('accept-encoding')) : undefined
  if (coding === undefined) return held.answer(jsonTextResponse(json), json.length)
  held.make(json.length)
  return encodedResponse(json, { coding, held, headers: { 'content-type': 'application/json' } })
}

/** From this size on, a `Blob` of the parts of an answer costs less than one piece of memory: the response then copies them once, not twice. */
const BLOB_BYTES_MIN = 64 * 1024

async function respondInBytes(answer: EncodedAnswer, coding: Coding | undefined, held: RequestHold): Promise<Response> {
  const { json, blobs } = answer
  const { length, jsonLength } = lengthOf(answer)
  const headers: Record<string, string> =
    blobs.length === 0
      ? { 'content-type': 'application/json' }
      : { 'content-type': 'application/octet-stream', [HEADER_LENGTH]: String(jsonLength) }
  if (coding === undefined) {
    // The cast: no memory of an answer is shared.
    const body = length < BLOB_BYTES_MIN ? joined(answer).bytes : new Blob([json, ...(blobs as Uint8Array<ArrayBuffer>[])])
    return held.answer(new Response(body, { headers }), length)
  }
  held.make(length)
  return encodedResponse(joined(answer).bytes, { coding, held, headers })
}

interface Encoding {
  readonly coding: Coding
  readonly held: RequestHold
  readonly headers: Readonly<Record<string, string>>
}

async function encodedResponse(bytes: Uint8Array<ArrayBuffer>, { coding, held, headers }: Encoding): Promise<Response> {
  const encoded = await compress(bytes, coding)
  const encodedHeaders = { ...headers, 'content-encoding': coding, vary: 'accept-encoding' }
  return held.answer(new Response(encoded, { headers: encodedHeaders }), encoded.length)
}

function lengthOf({ json, blobs }: EncodedAnswer) {
  const jsonLength = Buffer.byteLength(json)
  return { jsonLength, length: blobs.reduce((sum, { length }) => sum + length, jsonLength) }
}

/** The two parts of an answer in one piece, each copied once. */
export function joined(answer: EncodedAnswer) {
  const { json, blobs } = answer
  const { length, jsonLength } = lengthOf(answer)
  const bytes = Buffer.allocUnsafe(length)
  bytes.write(json, 0, 'utf8')
  let position = jsonLength
  for (const blob of blobs) {
    bytes.set(blob, position)
    position += blob.length
  }
  return { bytes, jsonLength }
}
