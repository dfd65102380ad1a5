import { ACCOUNT_SCHEMAS } from '../accounts/schemas.ts'
import type { SchemaName } from './operation.ts'

const text = (description: string, example?: string) => ({
  type: 'string' as const,
  description,
  ...(example !== undefined && { example }),
})
const list = (items: object, description?: string) => ({
  type: 'array' as const,
  items,
  ...(description !== undefined && { description }),
})
const reference = (name: string) => ({ $ref: `#/components/schemas/${name}` })

function object(properties: Readonly<Record<string, object>>, optional: readonly string[] = []) {
  const required = Object.keys(properties).filter((name) => !optional.includes(name))
  return { type: 'object' as const, properties, ...(required.length > 0 && { required }) }
}

const shape = list({ type: 'integer' }, 'Row-major; -1 is a dimension of any size')
const tensorSpec = object({ name: text('Name of the tensor'), datatype: reference('Datatype'), shape })
const tensorConfiguration = object({ name: text('Name of the tensor'), data_type: text('Datatype', 'TYPE_FP32'), dims: shape })
const parameters = {
  nullable: true,
  type: 'object' as const,
  description: 'Texts, numbers, true and false by name; null as absent',
  additionalProperties: {},
}
const tensorData = {
  nullable: true,
  description: 'Elements in row-major order, flat or nested as the shape says. Integers of 64 bits are exact. BYTES are texts.',
  ...list({}),
}

const OTHERS = {
  Datatype: {
    type: 'string' as const,
    enum: ['BOOL', 'UINT8', 'UINT16', 'UINT32', 'UINT64', 'INT8', 'INT16', 'INT32', 'INT64', 'FP16', 'FP32', 'FP64', 'BYTES'],
  },
  TensorSpec: tensorSpec,
  Tensor: object({ name: text('Name of the tensor'), shape, datatype: reference('Datatype'), parameters, data: tensorData }, [
    'parameters',
    'data',
  ]),
  ModelVersion: object(
    {
      version: text('Number of the version', '1'),
      state: { type: 'string' as const, enum: ['ready', 'unavailable', 'loading', 'unloading'] },
      reason: text('Why it is unavailable'),
      batching: object({
        runs: { type: 'string' as const, enum: ['shared', 'separate'], description: 'Whether requests share runs' },
        reason: text('What that was decided by'),
      }),
      isolation: { type: 'string' as const, enum: ['shared'], description: 'It is computed in one process with other models' },
      inputs: list(reference('TensorSpec')),
      outputs: list(reference('TensorSpec')),
    },
    ['reason', 'batching', 'isolation'],
  ),
  Failure: object({
    status_code: { type: 'integer' as const, description: 'The HTTP status' },
    detail: { description: 'What is wrong: a text, or one text a field' },
    error: { nullable: true, type: 'string' as const, description: 'Always null' },
  }),
  OpenInferenceFailure: object({ error: text('What is wrong') }),
}

/** No schema is a union (`oneOf`): clients that generators make of one lose what is in it, and a value of any type goes through whole. */
const NAMED: Readonly<Record<SchemaName, object>> = {
  Information: object({ title: text('Name'), description: text('What it is'), public: { type: 'boolean' } }),
  Home: object({
    title: text('Name'),
    description: text('What it is'),
    version: text('Version of Vestal'),
    ready: { type: 'boolean', description: 'Whether the server takes predictions' },
    links: { type: 'object', description: 'Paths by what is there', additionalProperties: { type: 'string' } },
  }),
  ...ACCOUNT_SCHEMAS,
  ModelList: object({ models: list(reference('Model'), 'The models that the token may read') }),
  Model: object({
    name: text('Name', 'iris'),
    description: text('What the model does'),
    permissions: object({
      predict: text('Asked for by predictions'),
      read: text('Asked for by descriptions'),
      admin: text('Asked for by loading and unloading'),
    }),
    labels: { type: 'object', description: 'Names of an output’s classes', additionalProperties: list({ type: 'string' }) },
    examples: list({}, 'Inputs to try'),
    versions: list(reference('ModelVersion'), 'Newest first'),
  }),
  PredictRequest: object({
    input: {
      description:
        'A list of rows of the one input or of objects with a row of each input by its name, or an object with the rows of each; a scalar may stand alone',
    },
  }),
  PredictAnswer: object({
    output: {
      description: 'A list with one element a row, or an object with the rows of each output, as the input was',
    },
  }),
  StreamRequest: text('Lines of JSON, each a row; their number has no limit'),
  StreamEvents: text('Lines of JSON, each a `StreamEvent`'),
  StreamEvent: object(
    {
      row: { type: 'integer', description: 'Number of the row, from 0' },
      output: { description: 'What predict answers for the row' },
      status_code: { type: 'integer', description: 'In the place of an output: why there is none' },
      detail: { description: 'In the place of an output: what is wrong' },
    },
    ['output', 'status_code', 'detail'],
  ),
  ServerMetadata: object({ name: text('Name', 'vestal'), version: text('Version'), extensions: list({ type: 'string' }) }),
  ModelMetadata: object({
    name: text('Name', 'iris'),
    versions: list({ type: 'string' }, 'Versions that are ready'),
    platform: text('What runs it', 'onnxruntime_onnx'),
    inputs: list(reference('TensorSpec')),
    outputs: list(reference('TensorSpec')),
  }),
  ModelNames: object({ models: list({ type: 'string' }, 'Names') }),
  ModelConfiguration: {
    type: 'object',
    description: 'A model configuration of Triton, as JSON',
    required: ['name', 'input', 'output'],
    properties: {
      name: text('Name', 'iris'),
      platform: text('What runs it', 'onnxruntime_onnx'),
      max_batch_size: { type: 'integer', description: 'Rows that one run may have; 0 where the shapes hold the first dimension' },
      input: list(tensorConfiguration),
      output: list(tensorConfiguration),
    },
    additionalProperties: true,
  },
  ModelStatistics: object({
    model_stats: list({ type: 'object', additionalProperties: true }, 'One entry a version that is loaded'),
  }),
  IndexRequest: object({ ready: { type: 'boolean', description: 'True for what is ready alone' } }, ['ready']),
  Index: list(
    object(
      {
        name: text('Name', 'iris'),
        version: text('Version', '1'),
        state: { type: 'string', enum: ['READY', 'UNAVAILABLE', 'LOADING', 'UNLOADING'] },
        reason: text('Why it is not ready; empty where it is'),
      },
      ['version', 'state', 'reason'],
    ),
  ),
  LoadRequest: object(
    {
      parameters: {
        type: 'object',
        description: '`config`, a text of JSON, and `file:<version>/<name>`, base64, in place of the model’s folder',
        additionalProperties: { type: 'string' },
      },
    },
    ['parameters'],
  ),
  UnloadRequest: object({ parameters: object({ unload_dependents: { type: 'boolean' } }, ['unload_dependents']) }, [
    'parameters',
  ]),
  Unloaded: object({
    not_unloaded: list(object({ name: text('Name', 'iris'), reason: text('Why it stays loaded') }), 'Members that stay loaded'),
  }),
  InferRequest: object(
    {
      id: { nullable: true, ...text('Told back in the answer') },
      inputs: list(reference('Tensor')),
      outputs: {
        nullable: true,
        ...list(object({ name: text('An output to compute'), parameters }, ['parameters']), 'All outputs when absent or empty'),
      },
      parameters,
    },
    ['id', 'outputs', 'parameters'],
  ),
  InferAnswer: object(
    { model_name: text('Name'), model_version: text('Version'), id: text('As it was asked'), outputs: list(reference('Tensor')) },
    ['id'],
  ),
  Live: object({ live: { type: 'boolean' } }),
  Ready: object(
    {
      ready: { type: 'boolean' },
      phase: text('`serving`, `draining` or `stopping`; told to those with `metrics:read`'),
      reasons: list({ type: 'string' }, 'What is not as it should be; told to those with `metrics:read`'),
    },
    ['phase', 'reasons'],
  ),
  ModelReady: object({ name: text('Name'), ready: { type: 'boolean' } }),
  Reloaded: object({
    changed: list({ type: 'string' }, 'Settings that count from now on'),
    needs_restart: list({ type: 'string' }, 'Settings that count after a restart'),
  }),
  Metrics: text('Metrics in the text format of Prometheus'),
  JwkSet: object({ keys: list({ type: 'object', description: 'A JSON Web Key (RFC 7517 §4)' }) }),
  AuthorizationServer: object(
    {
      issuer: text('The `iss` of the tokens that are signed here'),
      jwks_uri: text('Where the public keys are'),
      grant_types_supported: list({ type: 'string' }, 'Where this server has accounts, as all that follows'),
      token_endpoint: text('Where tokens are given'),
      token_endpoint_auth_methods_supported: list({ type: 'string' }),
      introspection_endpoint: text('Where a token is described'),
      introspection_endpoint_auth_methods_supported: list({ type: 'string' }),
      revocation_endpoint: text('Where a token is revoked'),
      revocation_endpoint_auth_methods_supported: list({ type: 'string' }),
    },
    [
      'grant_types_supported',
      'token_endpoint',
      'token_endpoint_auth_methods_supported',
      'introspection_endpoint',
      'introspection_endpoint_auth_methods_supported',
      'revocation_endpoint',
      'revocation_endpoint_auth_methods_supported',
    ],
  ),
}

/** The schemas of the OpenAPI document, by name. */
export const SCHEMAS: Readonly<Record<string, object>> = { ...NAMED, ...OTHERS }
