import { bytesOfTensor } from './binary.ts'
import { numberListText } from './number-list.ts'
import { elementsOf, elementWriter } from './numbers.ts'
import type { Tensor } from './tensor.ts'

/** An output as it is answered. */
export interface AnsweredOutput {
  readonly name: string
  readonly tensor: Tensor
  /** True when its data goes behind the JSON. */
  readonly isBinary: boolean
}

export interface InferAnswer {
  readonly modelName: string
  readonly modelVersion: string
  readonly id: string | undefined
  /** In the order of the answer. */
  readonly outputs: readonly AnsweredOutput[]
}

/** An inference answer in its two parts. */
export interface EncodedAnswer {
  readonly json: string
  /** Binary tensor data, in the order of the outputs; empty when there is none, or nothing in it. */
  readonly blobs: readonly Uint8Array[]
}

/**
 * Writes an inference answer (Open Inference Protocol 2, "Inference Response JSON Object"), its data flat and in row-major order: in
 * the JSON, or as binary tensor data. NaN and infinities are in the JSON as words without quotes, as Triton writes them.
 */
export function encodeInferResponse({ modelName, modelVersion, id, outputs }: InferAnswer): EncodedAnswer {
  const blobs: Uint8Array[] = []
  const tensors: unknown[] = []
  const lists = new Map<number, string>()
  let isBare = false
  for (const { name, tensor, isBinary } of outputs) {
    const { datatype, shape } = tensor
    if (isBinary) {
      const blob = bytesOfTensor(tensor)
      if (blob.length > 0) blobs.push(blob)
      tensors.push({ name, datatype, shape, parameters: { binary_data_size: blob.length } })
      continue
    }
    const list = numberListText({ ...tensor, shape: [tensor.data.length] }, 'bare')
    if (list !== undefined) {
      lists.set(tensors.length, list)
      tensors.push({ name, datatype, shape })
      continue
    }
    const data = elementsOf(tensor)
    isBare ||= data === undefined
    tensors.push({ name, datatype, shape, data })
  }
  const head = { model_name: modelName, model_version: modelVersion, id }
  const isPlain = !isBare && lists.size === 0
  return { json: isPlain ? JSON.stringify({ ...head, outputs: tensors }) : inPieces({ head, outputs, tensors, lists }), blobs }
}

interface Pieces {
  readonly head: object
  readonly outputs: readonly AnsweredOutput[]
  readonly tensors: readonly unknown[]
  /** The data of outputs that was written already, by their place. */
  readonly lists: ReadonlyMap<number, string>
}

/** The same, where an output has floats that `JSON.stringify` cannot write, or was written without it. */
function inPieces({ head, outputs, tensors, lists }: Pieces): string {
  const texts = outputs.map(({ name, tensor, isBinary }, index) => {
    if (isBinary) return JSON.stringify(tensors[index])
    const { datatype, shape, data } = tensor
    const list = lists.get(index)
    if (list !== undefined) return `${JSON.stringify({ name, datatype, shape }).slice(0, -1)},"data":${list}}`
    const write = elementWriter(tensor, 'bare')
    const elements = Array.from(data as ArrayLike<unknown>, (_, element) => write(element))
    return `${JSON.stringify({ name, datatype, shape }).slice(0, -1)},"data":[${elements.join(',')}]}`
  })
  return `${JSON.stringify(head).slice(0, -1)},"outputs":[${texts.join(',')}]}`
}
