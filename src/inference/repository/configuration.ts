import type { Datatype } from '../../tensor/datatypes.ts'
import { sentShape } from '../../tensor/shape.ts'
import type { TensorSpec } from '../../tensor/tensor.ts'
import type { ModelConfiguration, ModelVersion } from '../engine.ts'
import type { PipelineDefinition } from '../pipelines/definition.ts'
import type { ModelRunner } from '../runner.ts'
import type { FoundModel } from './scan.ts'
import type { VersionPolicy } from './version-policy.ts'

/**
 * A model's configuration as Triton's clients read it: what its config.pbtxt says, with what the model itself and the settings add.
 * Where max_batch_size is more than 0, the first dimension of every shape is the batch and is not among the dims.
 */
export function configurationOf(
  { name, file, config, pipeline }: FoundModel,
  { inputs, outputs, task, code }: ModelVersion,
  runner: ModelRunner,
): ModelConfiguration {
  const { settings, batching } = runner
  const batchSizeMax = config?.batchSizeMax ?? (batching.isSafe ? (settings.rowsMax ?? settings.batchRowsMax) : 0)
  const isInBatches = batchSizeMax > 0
  const tensors = (kind: 'input' | 'output', specs: readonly TensorSpec[]) =>
    specs.map((spec) => ({
      ...declaredOf(config?.table[kind], spec.name),
      ...tensorConfiguration(spec, { kind, isInBatches }),
    }))
  return {
    ...config?.table,
    name,
    ...platformOf(pipeline, code),
    version_policy: policyConfiguration(file.versions ?? { kind: 'all' }),
    max_batch_size: batchSizeMax,
    input: tensors('input', inputs),
    output: tensors('output', outputs),
    parameters: { ...parametersOf(config?.table.parameters), ...batchingParameters(batching), ...taskParameters(task) },
    instance_group: [{ name, kind: 'KIND_CPU', count: settings.instances }],
    ...(batchSizeMax > 0 &&
      batching.isSafe && {
        dynamic_batching: {
          preferred_batch_size: [],
          ...(typeof config?.table.dynamic_batching === 'object' && config.table.dynamic_batching),
          max_queue_delay_microseconds: Math.round(settings.batchDelayMs * 1000),
        },
      }),
    ...(file.settings.isCached !== undefined && { response_cache: { enable: file.settings.isCached } }),
  }
}

/** Platform of a model whose answers are those of its `model.ts`. */
const CODE_PLATFORM = 'vestal_code'

function platformOf(pipeline: PipelineDefinition | undefined, code: ModelVersion['code']): object {
  if (code !== undefined) return { platform: CODE_PLATFORM, backend: 'vestal' }
  return pipeline === undefined ? { platform: 'onnxruntime_onnx', backend: 'onnxruntime' } : ensemble(pipeline)
}

function parametersOf(declared: unknown): object {
  return typeof declared === 'object' && declared !== null ? declared : {}
}

/** Whether requests share runs, and why, where Triton's clients look for what a backend has to say. */
function batchingParameters({ isSafe, reason }: ModelRunner['batching']) {
  return {
    batching: { string_value: isSafe ? 'shared' : 'separate' },
    batching_reason: { string_value: reason },
  }
}

/** What the model does beside tensors, in the same place. */
function taskParameters(task: ModelVersion['task']) {
  return task === undefined ? {} : { task: { string_value: task.task } }
}

function ensemble({ steps }: PipelineDefinition) {
  return {
    platform: 'ensemble',
    backend: '',
    ensemble_scheduling: {
      step: steps.map(({ model, version, inputs, outputs }) => ({
        model_name: model,
        model_version: version === undefined ? -1 : Number(version),
        input_map: Object.fromEntries(inputs),
        output_map: Object.fromEntries(outputs),
      })),
    },
  }
}

function declaredOf(declared: unknown, name: string): object {
  const found: unknown = Array.isArray(declared) ? declared.find((tensor) => tensor.name === name) : undefined
  return typeof found === 'object' && found !== null ? found : {}
}

/** As Triton completes a configuration: dims are never empty, and those of an input that the model takes without are reshaped. */
function tensorConfiguration(
  { name, datatype, shape }: TensorSpec,
  { kind, isInBatches }: { readonly kind: 'input' | 'output'; readonly isInBatches: boolean },
) {
  const sent = sentShape(shape, { isInBatches: isInBatches && kind === 'input' })
  const isReshaped = shape.length > 0 && sent.length > shape.length
  return {
    name,
    data_type: typeName(datatype),
    dims: isInBatches ? sent.slice(1) : sent,
    ...(isReshaped && { reshape: { shape: [] } }),
  }
}

function typeName(datatype: Datatype): string {
  return datatype === 'BYTES' ? 'TYPE_STRING' : `TYPE_${datatype}`
}

function policyConfiguration(policy: VersionPolicy): object {
  if (policy.kind === 'latest') return { latest: { num_versions: policy.count } }
  return policy.kind === 'all' ? { all: {} } : { specific: { versions: policy.versions.map(Number) } }
}
