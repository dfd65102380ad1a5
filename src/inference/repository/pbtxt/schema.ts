/** What a field of a model configuration may hold. A field with `ignored` is read, has no effect here, and is reported. */
export interface FieldSchema {
  readonly kind: 'text' | 'boolean' | 'integer' | 'enum' | 'message' | 'map'
  readonly isList?: true
  /** Names of an `enum`, by their number. */
  readonly words?: readonly string[]
  /** Fields of a `message`, and of what a `map` has by its keys. */
  readonly message?: MessageSchema
  /** Why it has no effect. */
  readonly ignored?: string
}

export type MessageSchema = Readonly<Record<string, FieldSchema>>

const CPU = 'models are computed on the CPU'
const OTHER_BACKENDS = 'it is for other backends'

const text: FieldSchema = { kind: 'text' }
const boolean: FieldSchema = { kind: 'boolean' }
const integer: FieldSchema = { kind: 'integer' }
const integers: FieldSchema = { kind: 'integer', isList: true }
const message = (fields: MessageSchema): FieldSchema => ({ kind: 'message', message: fields })
const messages = (fields: MessageSchema): FieldSchema => ({ kind: 'message', isList: true, message: fields })
const map = (fields: MessageSchema): FieldSchema => ({ kind: 'map', message: fields })
const choice = (...words: readonly string[]): FieldSchema => ({ kind: 'enum', words })
const ignored = (why: string, field: FieldSchema): FieldSchema => ({ ...field, ignored: why })
/** Fields that Vestal ignores: any value is accepted. */
const anything = (why: string, isList?: true): FieldSchema => ({ kind: 'message', ignored: why, ...(isList && { isList }) })

const DATA_TYPE = choice(
  ...[
    'INVALID',
    'BOOL',
    'UINT8',
    'UINT16',
    'UINT32',
    'UINT64',
    'INT8',
    'INT16',
    'INT32',
    'INT64',
    'FP16',
    'FP32',
    'FP64',
    'STRING',
    'BF16',
  ].map((name) => `TYPE_${name}`),
)

const TENSOR: MessageSchema = {
  name: text,
  data_type: DATA_TYPE,
  dims: integers,
  reshape: message({ shape: integers }),
  is_shape_tensor: ignored(OTHER_BACKENDS, boolean),
  is_non_linear_format_io: ignored(OTHER_BACKENDS, boolean),
}

const QUEUE_POLICY: MessageSchema = {
  timeout_action: choice('REJECT', 'DELAY'),
  default_timeout_microseconds: integer,
  allow_timeout_override: boolean,
  max_queue_size: integer,
}

const PARAMETER: MessageSchema = { string_value: text }

/** The fields of Triton's `ModelConfig` (model_config.proto). */
export const MODEL_CONFIG: MessageSchema = {
  name: text,
  platform: text,
  backend: text,
  runtime: ignored('there is one runtime', text),
  version_policy: message({
    latest: message({ num_versions: integer }),
    all: message({}),
    specific: message({ versions: integers }),
  }),
  max_batch_size: integer,
  input: messages({
    ...TENSOR,
    format: choice('FORMAT_NONE', 'FORMAT_NHWC', 'FORMAT_NCHW'),
    allow_ragged_batch: boolean,
    optional: boolean,
  }),
  output: messages({ ...TENSOR, label_filename: text }),
  batch_input: anything('models get only the inputs of the request', true),
  batch_output: anything('models give the outputs they have', true),
  optimization: message({
    graph: message({ level: integer }),
    priority: ignored('instances are not weighed against each other', choice('PRIORITY_DEFAULT', 'PRIORITY_MAX', 'PRIORITY_MIN')),
    cuda: anything(CPU),
    execution_accelerators: anything(CPU),
    input_pinned_memory: anything(CPU),
    output_pinned_memory: anything(CPU),
    gather_kernel_buffer_threshold: ignored(CPU, integer),
    eager_batching: ignored('a batch is formed when a worker is free', boolean),
  }),
  dynamic_batching: message({
    preferred_batch_size: ignored('a batch takes all queued requests, up to max_batch_size', integers),
    max_queue_delay_microseconds: integer,
    preserve_ordering: ignored('every answer goes to its own request', boolean),
    priority_levels: integer,
    default_priority_level: integer,
    default_queue_policy: message(QUEUE_POLICY),
    priority_queue_policy: ignored('all levels have the default policy', map(QUEUE_POLICY)),
  }),
  sequence_batching: anything(''),
  ensemble_scheduling: message({
    step: messages({
      model_name: text,
      model_version: integer,
      input_map: { kind: 'map' },
      output_map: { kind: 'map' },
      model_namespace: ignored('there is one repository', text),
    }),
  }),
  instance_group: messages({
    name: text,
    kind: choice('KIND_AUTO', 'KIND_GPU', 'KIND_CPU', 'KIND_MODEL'),
    count: integer,
    gpus: ignored(CPU, integers),
    rate_limiter: anything('instances are not weighed against each other'),
    secondary_devices: anything(CPU, true),
    profile: ignored(OTHER_BACKENDS, { ...text, isList: true }),
    passive: ignored('every instance computes', boolean),
    host_policy: ignored('threads are not pinned', text),
  }),
  default_model_filename: text,
  cc_model_filenames: ignored(CPU, map({})),
  metric_tags: ignored('metrics have their own labels', map({})),
  parameters: map(PARAMETER),
  model_warmup: messages({
    name: text,
    batch_size: integer,
    count: integer,
    inputs: map({
      data_type: DATA_TYPE,
      dims: integers,
      zero_data: boolean,
      random_data: boolean,
      input_data_file: text,
    }),
  }),
  model_operations: anything('operators of your own cannot be loaded'),
  model_transaction_policy: message({ decoupled: boolean }),
  model_repository_agents: anything('model.toml has checksums'),
  response_cache: message({ enable: boolean }),
  model_metrics: anything('metrics have their own buckets'),
}
