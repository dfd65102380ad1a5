import { Type } from '@sinclair/typebox'
import { byName, orNull, strict, text, words } from '../../schema/build.ts'
import { TASKS } from '../../tasks/task.ts'
import { DatatypeName, Shape } from '../predict/schemas.ts'

const name = text('Name', { example: 'iris' })
const platform = text('What runs it', { example: 'onnxruntime_onnx' })
const TensorSpec = Type.Object({ name: text('Name of the tensor'), datatype: DatatypeName, shape: Shape })
const TensorConfiguration = Type.Object({
  name: text('Name of the tensor'),
  data_type: text('Datatype', { example: 'TYPE_FP32' }),
  dims: Shape,
})

const CodeValue = Type.Object({
  form: words(['json', 'text', 'image', 'tensor'], {
    description: 'How it comes: as JSON, as a text, as a picture, or as a tensor',
  }),
  schema: Type.Object({}, { additionalProperties: true, description: 'JSON Schema of the value; empty where it is open' }),
  tensor: Type.Optional(Type.Object({ datatype: DatatypeName, shape: Shape })),
})

const ModelVersion = Type.Object({
  version: text('Number of the version', { example: '1' }),
  state: words(['ready', 'unavailable', 'loading', 'unloading']),
  reason: Type.Optional(text('Why it is unavailable')),
  batching: Type.Optional(
    Type.Object({
      runs: words(['shared', 'separate'], { description: 'Whether requests share runs' }),
      reason: text('What that was decided by'),
    }),
  ),
  isolation: Type.Optional(words(['shared'], { description: 'It is computed in one process with other models' })),
  task: Type.Optional(
    Type.Object(
      {
        task: words(TASKS, { description: 'What the model is for' }),
        sources: byName(Type.String(), { description: 'Where each fact comes from: a file and a key, the graph, or a default' }),
        aloneReason: Type.Optional(text('Why each of its inputs is computed in a run of its own')),
      },
      { description: 'What it does beside tensors in and out: texts, pictures or sound', additionalProperties: true },
    ),
  ),
  code: Type.Optional(Type.Object({ input: CodeValue, output: CodeValue }, { description: 'What its model.ts takes and gives' })),
  inputs: Type.Array(TensorSpec),
  outputs: Type.Array(TensorSpec),
})
export const Model = Type.Object({
  name,
  description: text('What the model does'),
  permissions: Type.Object({
    predict: text('Asked for by predictions'),
    read: text('Asked for by descriptions'),
    admin: text('Asked for by loading and unloading'),
  }),
  labels: byName(Type.Array(Type.String()), { description: 'Names of an output’s classes' }),
  examples: Type.Array(Type.Unknown(), { description: 'Inputs to try' }),
  versions: Type.Array(ModelVersion, { description: 'Newest first' }),
})
const ModelMetadata = Type.Object({
  name,
  versions: Type.Array(Type.String(), { description: 'Versions that are ready' }),
  platform,
  inputs: Type.Array(TensorSpec),
  outputs: Type.Array(TensorSpec),
  parameters: Type.Optional(
    Type.Object({ task: words(TASKS, { description: 'What the model is for beside tensors' }) }, { additionalProperties: true }),
  ),
})

/** What the index may be asked for. Other members are ignored, as Triton ignores them. */
export const IndexRequest = Type.Object({
  ready: Type.Optional(Type.Boolean({ description: 'True for what is ready alone' })),
})
/** What an unload may be asked for. */
export const UnloadParameters = strict({ unload_dependents: Type.Optional(Type.Boolean()) })
const LoadParameters = byName(Type.String())
const LOAD_PARAMETERS = '`config`, a text of JSON, and `file:<version>/<name>`, base64, in place of the model’s folder'

/** The documents of what describes, loads and unloads models, by name. */
export const CONTROL_SCHEMAS = {
  TensorSpec,
  ModelVersion,
  Model,
  ModelList: Type.Object({ models: Type.Array(Model, { description: 'The models that the token may read' }) }),
  ServerMetadata: Type.Object({
    name: text('Name', { example: 'vestal' }),
    version: text('Version'),
    extensions: Type.Array(Type.String()),
  }),
  ModelMetadata,
  ModelNames: Type.Object({ models: Type.Array(Type.String(), { description: 'Names' }) }),
  ModelConfiguration: Type.Object(
    {
      name,
      platform: Type.Optional(platform),
      max_batch_size: Type.Optional(
        Type.Integer({ description: 'Rows that one run may have; 0 where the shapes hold the first dimension' }),
      ),
      input: Type.Array(TensorConfiguration),
      output: Type.Array(TensorConfiguration),
    },
    { description: 'A model configuration of Triton, as JSON', additionalProperties: true },
  ),
  ModelStatistics: Type.Object({
    model_stats: Type.Array(Type.Object({}, { additionalProperties: true }), {
      description: 'One entry a version that is loaded',
    }),
  }),
  IndexRequest,
  Index: Type.Array(
    Type.Object({
      name,
      version: Type.Optional(text('Version', { example: '1' })),
      state: Type.Optional(words(['READY', 'UNAVAILABLE', 'LOADING', 'UNLOADING'])),
      reason: Type.Optional(text('Why it is not ready; empty where it is')),
    }),
  ),
  LoadRequest: Type.Object({ parameters: Type.Optional(orNull(LoadParameters, LOAD_PARAMETERS)) }),
  UnloadRequest: Type.Object({ parameters: Type.Optional(orNull(UnloadParameters, 'What is unloaded beside')) }),
  Unloaded: Type.Object({
    not_unloaded: Type.Array(Type.Object({ name, reason: text('Why it stays loaded') }), {
      description: 'Members that stay loaded',
    }),
  }),
  Live: Type.Object({ live: Type.Boolean() }),
  Ready: Type.Object({
    ready: Type.Boolean(),
    phase: Type.Optional(text('`serving`, `draining` or `stopping`; told to those with `metrics:read`')),
    reasons: Type.Optional(
      Type.Array(Type.String(), { description: 'What is not as it should be; told to those with `metrics:read`' }),
    ),
  }),
  ModelReady: Type.Object({ name: text('Name'), ready: Type.Boolean() }),
}
