import type { Datatype } from '../../tensor/datatypes.ts'
import type { TensorSpec } from '../../tensor/tensor.ts'
import type { ModelConfiguration, ModelVersion } from '../engine.ts'

/** A model's configuration as Triton's clients read it. */
export function configurationOf(name: string, { inputs, outputs }: ModelVersion): ModelConfiguration {
  return {
    name,
    platform: 'onnxruntime_onnx',
    backend: 'onnxruntime',
    version_policy: { all: {} },
    // 0: the shapes below are whole, their first dimension included.
    max_batch_size: 0,
    input: inputs.map(tensorConfiguration),
    output: outputs.map(tensorConfiguration),
    instance_group: [{ name, kind: 'KIND_CPU', count: 1 }],
  }
}

function tensorConfiguration({ name, datatype, shape }: TensorSpec) {
  return { name, data_type: typeName(datatype), dims: shape }
}

function typeName(datatype: Datatype): string {
  return datatype === 'BYTES' ? 'TYPE_STRING' : `TYPE_${datatype}`
}
