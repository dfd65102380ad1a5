/**
 * The messages between an HTTP process and the engine process. Runs, results and rejections have binary frames of their own, since there
 * is one for each request; all else is a message that Bun clones (maps, bigints). Both sides run one program: the version in the first
 * frame is there for a program that was replaced on the disk while a server runs. Pure.
 */
import { deserialize, serialize } from 'bun:jsc'
import { ERROR_CATALOGUE, type ErrorCode, type ErrorDetail, VestalError } from '../../core/errors.ts'
import { broken, type FrameBuffer, type FrameCursor, type ReadBytes, type StoreBytes } from '../../processes/frames.ts'
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts'
import type { KeptModel, LoadOptions, Model, ModelChange, ModelConfiguration, RunTimes, UnloadOptions } from '../engine.ts'
import type { ModelLoss } from '../runner.ts'
import type { ModelStatistics, Rejections } from '../statistics.ts'

const PROTOCOL_VERSION = 1

/** The first byte of each frame. */
export const KIND = { hello: 0, infer: 1, result: 2, failure: 3, cancel: 4, read: 5, call: 6, message: 7 } as const

/** A request to compute. */
export interface InferFrame {
  readonly id: number
  readonly model: string
  readonly version: string
  readonly inputs: NamedTensors
  readonly outputs?: readonly string[] | undefined
  readonly subject?: string | undefined
  readonly priority?: number | undefined
  readonly timeoutMs?: number | undefined
  readonly requestId?: string | undefined
  /** Computes, also where the model has a cache. */
  readonly isUncached: boolean
  /** Its times are reported. */
  readonly isWatched: boolean
}

const [UNCACHED, WATCHED, HAS_SUBJECT, HAS_PRIORITY, HAS_TIMEOUT, HAS_REQUEST_ID] = [1, 2, 4, 8, 16, 32]

/** Writes a request to compute. */
export function writeInfer(buffer: FrameBuffer, frame: InferFrame, store: StoreBytes): void {
  const { subject, priority, timeoutMs, requestId } = frame
  buffer.count(frame.id)
  buffer.byte(
    (frame.isUncached ? UNCACHED : 0) |
      (frame.isWatched ? WATCHED : 0) |
      (subject === undefined ? 0 : HAS_SUBJECT) |
      (priority === undefined ? 0 : HAS_PRIORITY) |
      (timeoutMs === undefined ? 0 : HAS_TIMEOUT) |
      (requestId === undefined ? 0 : HAS_REQUEST_ID),
  )
  buffer.text(frame.model)
  buffer.text(frame.version)
  if (subject !== undefined) buffer.text(subject)
  if (priority !== undefined) buffer.number(priority)
  if (timeoutMs !== undefined) buffer.number(timeoutMs)
  if (requestId !== undefined) buffer.text(requestId)
  buffer.texts(frame.outputs)
  writeTensors(buffer, frame.inputs, store)
}

/** Reads a request to compute, behind its kind. */
export function readInfer(cursor: FrameCursor, readBytes: ReadBytes): InferFrame {
  const id = cursor.count()
  const flags = cursor.byte()
  const [model, version] = [cursor.text(), cursor.text()]
  const subject = (flags & HAS_SUBJECT) === 0 ? undefined : cursor.text()
  const priority = (flags & HAS_PRIORITY) === 0 ? undefined : cursor.number()
  const timeoutMs = (flags & HAS_TIMEOUT) === 0 ? undefined : cursor.number()
  const requestId = (flags & HAS_REQUEST_ID) === 0 ? undefined : cursor.text()
  const outputs = cursor.texts()
  const inputs = readTensors(cursor, readBytes)
  cursor.finish()
  const [isUncached, isWatched] = [(flags & UNCACHED) !== 0, (flags & WATCHED) !== 0]
  return { id, model, version, inputs, outputs, subject, priority, timeoutMs, requestId, isUncached, isWatched }
}

/** Writes the answer to a request to compute. */
export function writeResult(buffer: FrameBuffer, id: number, outputs: NamedTensors, store: StoreBytes): void {
  buffer.count(id)
  writeTensors(buffer, outputs, store)
}

/** Reads an answer, behind its kind and its request. */
export function readResult(cursor: FrameCursor, readBytes: ReadBytes): NamedTensors {
  const outputs = readTensors(cursor, readBytes)
  cursor.finish()
  return outputs
}

function writeTensors(buffer: FrameBuffer, tensors: NamedTensors, store: StoreBytes): void {
  buffer.count(tensors.size)
  for (const [name, tensor] of tensors) {
    buffer.text(name)
    buffer.tensor(tensor, store)
  }
}

function readTensors(cursor: FrameCursor, readBytes: ReadBytes): NamedTensors {
  const tensors = new Map<string, Tensor>()
  cursor.list(() => void tensors.set(cursor.text(), cursor.tensor(readBytes)))
  return tensors
}

/** An error as it crosses the border: with all that it says, so that it is the same error on the other side. */
export interface Failure {
  /** Absent for an error that is a bug of ours. */
  readonly code?: ErrorCode
  readonly status?: number
  readonly detail?: ErrorDetail
  readonly reason: string
  readonly headers?: Readonly<Record<string, string>>
  /** Where a bug was thrown. */
  readonly stack?: string | undefined
}

/** An error as it is sent to the other side. */
export function failureOf(error: unknown): Failure {
  if (error instanceof VestalError) {
    const { code, status, detail, headers, message: reason } = error
    return { code, status, detail, headers, reason }
  }
  if (!(error instanceof Error)) return { reason: String(error) }
  return { reason: error.message, stack: error.stack }
}

/** The error that the other side sent. */
export function errorOf({ code, status, detail, reason, headers, stack }: Failure): Error {
  if (code !== undefined && Object.hasOwn(ERROR_CATALOGUE, code))
    return new VestalError(code, {
      ...(status !== undefined && { status }),
      ...(detail !== undefined && { detail }),
      ...(headers && { headers }),
      reason,
    })
  const error = new Error(reason)
  if (stack !== undefined) error.stack = stack
  return error
}

/** Writes the rejection of a request. */
export function writeFailure(buffer: FrameBuffer, id: number, error: unknown): void {
  buffer.count(id)
  buffer.text(JSON.stringify(failureOf(error)))
}

/** Reads a rejection, behind its kind and its request. */
export function readFailure(cursor: FrameCursor): Error {
  // The cast: the other side is this program too, of the same version.
  const failure = JSON.parse(cursor.text()) as Failure
  cursor.finish()
  return errorOf(failure)
}

/** What is done with models, or asked of all of them. */
export type Call =
  | { readonly what: 'load'; readonly name: string; readonly options: Omit<LoadOptions, 'may' | 'changed' | 'files'> }
  | { readonly what: 'unload'; readonly name: string; readonly options: Omit<UnloadOptions, 'may' | 'changed'> }
  | { readonly what: 'statistics' }

/** What a call gives. */
export interface CallResults {
  readonly load: undefined
  readonly unload: readonly KeptModel[]
  readonly statistics: readonly ModelStatistics[]
}

/** A call, with the files of a load request. */
export interface CallFrame {
  readonly id: number
  readonly call: Call
  /** Whether the caller may do all; otherwise it is asked for each permission. */
  readonly mayAll: boolean
  readonly files?: ReadonlyMap<string, Uint8Array> | undefined
}

/** Writes a call. */
export function writeCall(buffer: FrameBuffer, { files = new Map(), ...rest }: CallFrame, store: StoreBytes): void {
  writeMessage(buffer, rest)
  const tensors = [...files].map(([path, data]): readonly [string, Tensor] => [
    path,
    { datatype: 'UINT8', shape: [data.length], data },
  ])
  writeTensors(buffer, new Map(tensors), store)
}

/** Reads a call, behind its kind. */
export function readCall(cursor: FrameCursor, readBytes: ReadBytes): CallFrame {
  const call = cloned<Omit<CallFrame, 'files'>>(cursor)
  const files = new Map<string, Uint8Array>()
  for (const [path, { data }] of readTensors(cursor, readBytes))
    files.set(path, data instanceof Uint8Array ? data : broken('a file that is no bytes'))
  cursor.finish()
  return { ...call, ...(files.size > 0 && { files }) }
}

/** A model with how its versions are served, by version. */
export interface Described {
  readonly model: Model
  readonly configurations: ReadonlyMap<string, ModelConfiguration>
}

/** Times of a request, relative to when they were sent: the clocks of two processes begin at different times. */
export interface AgedTimes extends Omit<RunTimes, 'takenMs' | 'sentMs' | 'endMs' | 'error'> {
  readonly takenAgo: number
  /** Absent where it never went to a worker. */
  readonly sentAgo?: number
  readonly endAgo: number
  readonly failure?: Failure
}

/** From the engine process, beside answers. */
export type FromEngine =
  /** What is known of models: of all, or of those that are others than before; undefined of one that is gone. */
  | {
      readonly kind: 'state'
      readonly isWhole: boolean
      readonly models: readonly (readonly [name: string, described: Described | undefined])[]
      readonly isReady: boolean
      readonly troubles: readonly string[]
    }
  | { readonly kind: 'times'; readonly id: number; readonly times: AgedTimes }
  | { readonly kind: 'returned'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'threw'; readonly id: number; readonly failure: Failure }
  /** Asks whether the caller of a call has a permission. */
  | { readonly kind: 'may'; readonly id: number; readonly question: number; readonly permission: string }
  /** A call has changed a model beside the one that it names. */
  | { readonly kind: 'changed'; readonly id: number; readonly change: ModelChange }
  /** The engine has changed a model by itself: one HTTP process takes note for all. */
  | { readonly kind: 'noted'; readonly change: ModelChange }
  /** The same of a worker process that ended by itself. */
  | { readonly kind: 'lost'; readonly loss: ModelLoss }
  /** Asks for a reply once all earlier messages are processed. */
  | { readonly kind: 'settle'; readonly question: number }

/** To the engine process, beside requests and calls. */
export type ToEngine =
  | { readonly kind: 'granted'; readonly question: number; readonly isGranted: boolean }
  | { readonly kind: 'settled'; readonly question: number }
  /** Requests that it rejected by itself, since it may hold no more bytes. */
  | { readonly kind: 'rejected'; readonly rejections: readonly Rejections[] }

/** The first message of the engine process. */
export interface EngineHello {
  /** Where the permissions of models are read that are not known. */
  readonly modelsDirectory?: string | undefined
  /** Whether that folder was there. */
  readonly hadFolder: boolean
  /** Longest time of a request; the engine ends what takes longer. */
  readonly timeoutMs: number
}

/** Writes the first frame of either side. */
export function writeHello(buffer: FrameBuffer, hello: EngineHello | undefined): void {
  buffer.count(PROTOCOL_VERSION)
  writeMessage(buffer, hello)
}

/** Reads the first frame, behind its kind. @throws Error where the other side is of another version */
export function readHello(cursor: FrameCursor): EngineHello | undefined {
  const version = cursor.count()
  if (version !== PROTOCOL_VERSION) broken(`the other process speaks version ${version}, and this one ${PROTOCOL_VERSION}`)
  return readMessage<EngineHello | undefined>(cursor)
}

/** Writes a message of a kind that needs no speed. */
export function writeMessage(buffer: FrameBuffer, message: unknown): void {
  buffer.bytes(new Uint8Array(serialize(message)))
}

/** Reads a message, behind its kind. */
export function readMessage<Message>(cursor: FrameCursor): Message {
  const message = cloned<Message>(cursor)
  cursor.finish()
  return message
}

function cloned<Message>(cursor: FrameCursor): Message {
  // The cast: the other side is this program too, of the same version.
  return deserialize(cursor.bytes()) as Message
}
