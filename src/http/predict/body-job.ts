import { type ErrorCode, VestalError, type VestalErrorOptions } from '../../core/errors.ts'
import type { TensorData } from '../../tensor/tensor.ts'
import type { BodyCodec, CodecName, DecodeTarget, Question } from './codec.ts'

/** A body to read: plain data, which goes to another thread. */
export interface BodyJob {
  readonly codec: CodecName
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Bytes of JSON before binary tensor data; absent where all of it is JSON. */
  readonly jsonLength: number | undefined
  readonly target: DecodeTarget
}

/** What a thread says: that it has started, what a body asks, why that was rejected, or that our own code failed. */
export type ThreadMessage =
  | { readonly kind: 'started' }
  | { readonly kind: 'read'; readonly question: Question<unknown> }
  | { readonly kind: 'rejected'; readonly code: ErrorCode; readonly options: VestalErrorOptions }
  | { readonly kind: 'failed'; readonly error: Error }

/** A message, and the memory that goes with it. */
export interface Sent {
  readonly message: ThreadMessage
  readonly transfer: readonly ArrayBuffer[]
}

/** What a codec needs to know of the version that computes, without what only the server has. */
export function plainTarget({ model, version }: DecodeTarget): DecodeTarget {
  const { inputs, outputs, hasRows, code, task } = version
  const image = task?.image
  return {
    model: { name: model.name },
    version: { inputs, outputs, ...(hasRows === false && { hasRows }), ...(code && { code }), ...(image && { task: { image } }) },
  }
}

/** Reads a body, and gives what is to be sent of it. */
export async function doJob(codec: BodyCodec<unknown>, { bytes, jsonLength, target }: BodyJob): Promise<Sent> {
  try {
    const question = await codec.decode(bytes, target, jsonLength)
    const transfer = memoryOf([...question.tensors.values()].map(({ data }) => data).concat(question.pictures ?? []))
    // Freed now, and not when the collector comes by: the next one may be as large.
    if (!transfer.includes(bytes.buffer)) bytes.buffer.transfer(0)
    return { message: { kind: 'read', question }, transfer }
  } catch (error) {
    if (!(error instanceof VestalError))
      return { message: { kind: 'failed', error: error instanceof Error ? error : new Error(String(error)) }, transfer: [] }
    const { code, status, detail, headers, message } = error
    return { message: { kind: 'rejected', code, options: { status, detail, headers, reason: message } }, transfer: [] }
  }
}

/** The memory of arrays, which may share it. */
function memoryOf(arrays: readonly TensorData[]): readonly ArrayBuffer[] {
  const found = new Set<ArrayBuffer>()
  for (const each of arrays) if (ArrayBuffer.isView(each) && each.buffer instanceof ArrayBuffer) found.add(each.buffer)
  return [...found]
}
