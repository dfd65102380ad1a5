import type { NamedTensors, Tensor } from '../../tensor/tensor.ts'
import type { ModelRunner } from '../runner.ts'
import type { DeclaredTensor, ModelConfig } from './pbtxt/interpret.ts'

/**
 * A runner that takes and gives tensors in the shapes that a configuration declares, where it has other shapes for the model itself
 * (`reshape`). The elements stay as they are, in their order.
 */
export function reshapedRunner(
  runner: ModelRunner,
  config: ModelConfig | undefined,
  specs: Pick<ModelRunner, 'inputs' | 'outputs'>,
): ModelRunner {
  const isInBatches = (config?.batchSizeMax ?? 0) > 0
  const targets = (declared: readonly DeclaredTensor[] = [], side: 'reshape' | 'dims') =>
    new Map(declared.flatMap((tensor) => (tensor.reshape === undefined ? [] : [[tensor.name, tensor[side] ?? []] as const])))
  const [inputs, outputs] = [targets(config?.inputs, 'reshape'), targets(config?.outputs, 'dims')]
  if (inputs.size === 0 && outputs.size === 0) return runner
  const { warm } = runner
  return {
    ...runner,
    ...specs,
    run: async (tensors, options) =>
      reshape(await runner.run(reshape(tensors, inputs, isInBatches), options), outputs, isInBatches),
    ...(warm && {
      warm: async (tensors: NamedTensors) => reshape(await warm(reshape(tensors, inputs, isInBatches)), outputs, isInBatches),
    }),
  }
}

/** Inputs in the shapes that a configuration declares, in those of the model itself. */
export function ownShapes(config: ModelConfig | undefined, tensors: NamedTensors): NamedTensors {
  const targets = new Map(
    (config?.inputs ?? []).flatMap(({ name, reshape: own }) => (own === undefined ? [] : [[name, own] as const])),
  )
  return targets.size === 0 ? tensors : reshape(tensors, targets, (config?.batchSizeMax ?? 0) > 0)
}

function reshape(tensors: NamedTensors, targets: ReadonlyMap<string, readonly number[]>, isInBatches: boolean): NamedTensors {
  return new Map([...tensors].map(([name, tensor]) => [name, reshaped(tensor, targets.get(name), isInBatches)]))
}

function reshaped(tensor: Tensor, target: readonly number[] | undefined, isInBatches: boolean): Tensor {
  if (target === undefined) return tensor
  const lead = isInBatches ? tensor.shape.slice(0, 1) : []
  const known = [...lead, ...target].reduce((product, size) => (size === -1 ? product : product * size), 1)
  const open = known === 0 ? 0 : tensor.data.length / known
  return { ...tensor, shape: [...lead, ...target.map((size) => (size === -1 ? open : size))] }
}
