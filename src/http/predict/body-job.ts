import { type ErrorCode, VestalError, type VestalErrorOptions } from '../../core/errors.ts'
import { freeBytes } from '../../core/free-bytes.ts'
import { copyData, type NamedTensors, type TensorData } from '../../tensor/tensor.ts'
import type { BodyCodec, CodecName, DecodeTarget, EncodeTarget, Question } from './codec.ts'

/** A body to read: plain data, which goes to another thread. */
export interface ReadJob {
  readonly kind: 'read'
  readonly codec: CodecName
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Bytes of JSON before binary tensor data; absent where all of it is JSON. */
  readonly jsonLength: number | undefined
  readonly target: DecodeTarget
}

/** An answer to write: plain data too. */
export interface WriteJob {
  readonly kind: 'write'
  readonly codec: CodecName
  readonly results: NamedTensors
  /** What the codec's question had of it. */
  readonly form: unknown
  readonly target: EncodeTarget
}

export type BodyJob = ReadJob | WriteJob

/** What a thread says: that it has started, what a body asks, an answer in JSON, why a body was rejected, or that our own code failed. */
export type ThreadMessage =
  | { readonly kind: 'started' }
  | { readonly kind: 'read'; readonly question: Question<unknown> }
  | { readonly kind: 'written'; readonly json: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'rejected'; readonly code: ErrorCode; readonly options: VestalErrorOptions }
  | { readonly kind: 'failed'; readonly error: Error }

/** A message, and the memory that goes with it. */
export interface Sent<Message> {
  readonly message: Message
  readonly transfer: readonly ArrayBuffer[]
}

/** A job as it is sent: with plain data only, and its own memory. */
export function sentJob(job: BodyJob): Sent<BodyJob> {
  if (job.kind === 'read') return { message: { ...job, target: plainDecodeTarget(job.target) }, transfer: [job.bytes.buffer] }
  // Requests of one run have parts of the same memory, and the response cache may have it too.
  const results = new Map([...job.results].map(([name, tensor]) => [name, { ...tensor, data: copyData(tensor.data) }]))
  return {
    message: { ...job, results, target: plainEncodeTarget(job.target) },
    transfer: memoryOf([...results.values()].map(({ data }) => data)),
  }
}

/** What a codec needs to know of the version that computes, without what only the server has. */
function plainDecodeTarget({ model, version }: DecodeTarget): DecodeTarget {
  const { inputs, outputs, hasRows, code, task } = version
  const image = task?.image
  return {
    model: { name: model.name },
    version: { inputs, outputs, ...(hasRows === false && { hasRows }), ...(code && { code }), ...(image && { task: { image } }) },
  }
}

function plainEncodeTarget({ model, version }: EncodeTarget): EncodeTarget {
  const { version: name, outputs, hasRows, code, labels } = version
  const { name: modelName, labels: modelLabels } = model
  return {
    model: { name: modelName, labels: modelLabels },
    version: { version: name, outputs, ...(hasRows === false && { hasRows }), ...(code && { code }), ...(labels && { labels }) },
  }
}

/** Does a job, and gives what is to be sent of it. */
export async function doJob(codec: BodyCodec<unknown>, job: BodyJob): Promise<Sent<ThreadMessage>> {
  try {
    return job.kind === 'read' ? await read(codec, job) : write(codec, job)
  } catch (error) {
    if (!(error instanceof VestalError))
      return { message: { kind: 'failed', error: error instanceof Error ? error : new Error(String(error)) }, transfer: [] }
    const { code, status, detail, headers, message } = error
    return { message: { kind: 'rejected', code, options: { status, detail, headers, reason: message } }, transfer: [] }
  }
}

async function read(codec: BodyCodec<unknown>, { bytes, jsonLength, target }: ReadJob): Promise<Sent<ThreadMessage>> {
  const question = await codec.decode(bytes, target, jsonLength)
  const transfer = memoryOf([...question.tensors.values()].map(({ data }) => data).concat(question.pictures ?? []))
  // Freed now, and not when the collector comes by: the next one may be as large.
  if (!transfer.includes(bytes.buffer)) freeBytes(bytes)
  return { message: { kind: 'read', question }, transfer }
}

function write(codec: BodyCodec<unknown>, { results, form, target }: WriteJob): Sent<ThreadMessage> {
  const { json } = codec.encode(results, form, target)
  for (const { data } of results.values()) if (ArrayBuffer.isView(data)) freeBytes(data)
  const bytes = new TextEncoder().encode(json)
  return { message: { kind: 'written', json: bytes }, transfer: [bytes.buffer] }
}

/** The memory of arrays, which may share it. */
function memoryOf(arrays: readonly TensorData[]): readonly ArrayBuffer[] {
  const found = new Set<ArrayBuffer>()
  for (const each of arrays) if (ArrayBuffer.isView(each) && each.buffer instanceof ArrayBuffer) found.add(each.buffer)
  return [...found]
}
