import { bytesOfTensor } from './binary.ts'
import { elementsOf } from './numbers.ts'
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
 * the JSON, or as binary tensor data.
 * @throws VestalError INFERENCE_FAILED when an output in JSON holds NaN or an infinity
 */
export function encodeInferResponse({ modelName, modelVersion, id, outputs }: InferAnswer): EncodedAnswer {
  const blobs: Uint8Array[] = []
  const tensors: unknown[] = []
  for (const { name, tensor, isBinary } of outputs) {
    const { datatype, shape } = tensor
    if (isBinary) {
      const blob = bytesOfTensor(tensor)
      if (blob.length > 0) blobs.push(blob)
      tensors.push({ name, datatype, shape, parameters: { binary_data_size: blob.length } })
    } else tensors.push({ name, datatype, shape, data: elementsOf(name, tensor) })
  }
  return { json: JSON.stringify({ model_name: modelName, model_version: modelVersion, id, outputs: tensors }), blobs }
}
