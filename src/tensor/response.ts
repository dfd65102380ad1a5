import { invariant } from '../core/invariant.ts'
import { elementWriter } from './numbers.ts'
import { elementCount } from './shape.ts'
import type { NamedTensors } from './tensor.ts'

export interface InferAnswer {
  readonly modelName: string
  readonly modelVersion: string
  readonly id: string | undefined
  readonly outputs: NamedTensors
  /** Names of the outputs in the order of the answer. */
  readonly order: readonly string[]
}

/**
 * Writes an inference answer (Open Inference Protocol 2, "Inference Response JSON Object"), its data flat and in row-major order.
 * @throws VestalError INFERENCE_FAILED when an output holds NaN or an infinity
 */
export function encodeInferResponse({ modelName, modelVersion, id, outputs, order }: InferAnswer): string {
  const head = JSON.stringify({ model_name: modelName, model_version: modelVersion, ...(id !== undefined && { id }) })
  const tensors = order.map((name) => {
    const tensor = outputs.get(name)
    invariant(tensor !== undefined, 'the engine gives every output that was asked for')
    const write = elementWriter(name, tensor)
    const elements = Array.from({ length: elementCount(tensor.shape) }, (_, index) => write(index))
    const { datatype, shape } = tensor
    return `${JSON.stringify({ name, datatype, shape }).slice(0, -1)},"data":[${elements.join(',')}]}`
  })
  return `${head.slice(0, -1)},"outputs":[${tensors.join(',')}]}`
}
