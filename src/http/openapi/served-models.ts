/** The models that a token may predict with, as operations of the OpenAPI document: each with the schemas of its own input and output. */

import type { CodeDescription, Model, ModelVersion } from '../../inference/engine.ts'
import { type JsonSchema, taskShapes } from '../../tasks/bodies/task-shapes.ts'
import { DATATYPES } from '../../tensor/datatypes.ts'
import { isAnyShape } from '../../tensor/shape.ts'
import type { TensorSpec } from '../../tensor/tensor.ts'
import { labelsOf } from '../model-access.ts'
import { openApiOfJson } from './json-schema.ts'
import { failureReferences, TIMEOUT } from './operation.ts'

/** The group of these operations. */
const SERVED_TAG = {
  name: 'Your models',
  description: 'The models that this token may predict with, each with its own schemas',
}

/** Models in one document, by name. */
const MODELS_MAX = 500
/** Bytes of what one model adds, and of all of them. A model that is over the first is there without its schemas. */
const MODEL_BYTES_MAX = 64 * 1024
const BYTES_MAX = 4 * 1024 * 1024
/** More labels than these are not listed. */
const LABELS_MAX = 100

/** What a request for a model and its answer look like. */
interface Shapes {
  readonly input: JsonSchema
  readonly output: JsonSchema
  readonly parameters?: JsonSchema
  readonly example?: unknown
  /** Set where the body may also be the file itself. */
  readonly isFile?: boolean
}

/** What is written of a model, for as long as the model is the same. */
const written = new WeakMap<Model, string>()

interface Document {
  readonly tags: readonly object[]
  readonly paths: object
}

/** The JSON of a document with these models in it, as many as the limits allow; those that are not ready have no schemas and are left out. */
export function withModels(document: unknown, models: readonly Model[]): string {
  // The cast: it is what openApiDocument made, with the paths of the routes.
  const { tags, paths, ...rest } = document as Document
  const own = servedPaths(models)
  if (own === '') return JSON.stringify(document)
  // What was written of a model before is put in as text: a document of many models costs little more than one of none.
  const start = JSON.stringify({ ...rest, tags: [SERVED_TAG, ...tags] }).slice(0, -1)
  return `${start},"paths":{${own},${JSON.stringify(paths).slice(1)}}`
}

/** Members of `paths`: `"/models/iris/predict/":{…},…`. */
function servedPaths(models: readonly Model[]): string {
  const paths: string[] = []
  let bytes = 0
  for (const model of models) {
    const path = pathOf(model)
    if (path === '') continue
    bytes += path.length
    if (paths.length === MODELS_MAX || bytes > BYTES_MAX) break
    paths.push(path)
  }
  return paths.join(',')
}

function pathOf(model: Model): string {
  const known = written.get(model)
  if (known !== undefined) return known
  const path = writePath(model)
  written.set(model, path)
  return path
}

function writePath(model: Model): string {
  const version = model.versions.find(({ state }) => state === 'ready')
  if (version === undefined) return ''
  const key = JSON.stringify(`/models/${model.name}/predict/`)
  const path = `${key}:${JSON.stringify({ post: operationOf(model, version, shapesOf(model, version)) })}`
  if (path.length <= MODEL_BYTES_MAX) return path
  return `${key}:${JSON.stringify({ post: operationOf({ ...model, description: '' }, version, { input: {}, output: {} }) })}`
}

function operationOf(model: Model, version: ModelVersion, { input, output, parameters, example, isFile = false }: Shapes) {
  const { name, permissions } = model
  const description = model.description || (version.code?.description ?? '')
  const [own = example] = model.examples.length > 0 ? model.examples : (version.code?.examples ?? [])
  const body = { input, ...(parameters && { parameters }) }
  return {
    tags: [SERVED_TAG.name],
    operationId: `predict-${name}`,
    summary: version.task === undefined ? `Predict with ${name}` : `Predict with ${name} (${version.task.task})`,
    description: `${description === '' ? '' : `${description}. `}Asks for the permission \`${permissions.predict}\`.`,
    security: [{ bearer: [] }],
    parameters: [TIMEOUT],
    requestBody: {
      required: true,
      content: {
        ...(isFile && { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } }),
        'application/json': {
          schema: { type: 'object', properties: body, required: ['input'], additionalProperties: false },
          ...(own !== undefined && { example: { input: own } }),
        },
      },
    },
    responses: {
      200: {
        description: 'What the model says',
        content: { 'application/json': { schema: { type: 'object', properties: { output }, required: ['output'] } } },
      },
      ...failureReferences([400, 401, 403, 404, 408, 413, 415, 429, 503]),
    },
  }
}

function shapesOf(model: Model, version: ModelVersion): Shapes {
  if (version.code !== undefined) return codeShapes(model, version, version.code)
  if (version.task === undefined) return tensorShapes(model, version)
  return { ...taskShapes(version.task), isFile: version.task.text === undefined }
}

function codeShapes(model: Model, version: ModelVersion, { input, output, isStream }: CodeDescription): Shapes {
  const tensors = tensorShapes(model, version)
  const one = output.form === 'tensor' ? tensors.output : valueSchema(output)
  return {
    input: input.form === 'tensor' ? tensors.input : valueSchema(input),
    output: isStream ? { type: 'array', items: one } : one,
    isFile: input.form === 'image',
  }
}

function valueSchema({ form, schema }: CodeDescription['input']): JsonSchema {
  if (form === 'image') return { type: 'string', format: 'byte', description: 'A picture in base64, or a data URI of one' }
  return openApiOfJson(schema)
}

/** A list of rows where the model has one input, an object with the rows of each where it has several; the answer has the same form. */
function tensorShapes(model: Model, version: ModelVersion): Shapes {
  const { inputs, outputs } = version
  const labels = labelsOf(model, version)
  const [only] = inputs
  if (inputs.length === 1 && only !== undefined && only.shape.length > 0) {
    // Outputs of which not each has a row for each row of the input are answered by name.
    const hasRows = outputs.every(({ shape }) => shape[0] === -1)
    const rows = outputs.map((spec) => [spec.name, ofLabels(rowOf(spec), spec, labels)] as const)
    const [first] = rows
    const row = rows.length === 1 && first !== undefined ? first[1] : named(rows)
    return { input: nested(only, only.shape), output: hasRows ? { type: 'array', items: row } : {} }
  }
  return {
    input: named(inputs.map((spec) => [spec.name, nested(spec, spec.shape)])),
    output: named(outputs.map((spec) => [spec.name, { type: 'array', items: ofLabels(rowOf(spec), spec, labels) }])),
  }
}

function named(members: readonly (readonly [name: string, schema: JsonSchema])[]): JsonSchema {
  if (members.length === 0) return { type: 'object' }
  return { type: 'object', properties: Object.fromEntries(members), required: members.map(([name]) => name) }
}

function rowOf(spec: TensorSpec): JsonSchema {
  return nested(spec, spec.shape.slice(1))
}

/** Class numbers are answered by their labels, and the numbers of a row that has one for each class by these names. */
function ofLabels(
  row: JsonSchema,
  { name, datatype, shape }: TensorSpec,
  all: ReadonlyMap<string, readonly string[]>,
): JsonSchema {
  const labels = all.get(name)
  if (labels === undefined) return row
  if (datatype.includes('INT')) return { type: 'string', ...(labels.length <= LABELS_MAX && { enum: [...new Set(labels)] }) }
  if (shape.length !== 2 || shape[1] !== labels.length) return row
  return { type: 'object', description: 'A number for each label', additionalProperties: elementOf(datatype) }
}

/** Lists in lists, as the shape says; a dimension of -1 is of any length. */
function nested({ datatype }: TensorSpec, shape: readonly number[]): JsonSchema {
  if (isAnyShape(shape)) return {}
  const element = elementOf(datatype)
  return shape.reduceRight<JsonSchema>(
    (items, size) => ({ type: 'array', items, ...(size >= 0 && { minItems: size, maxItems: size }) }),
    element,
  )
}

function elementOf(datatype: TensorSpec['datatype']): JsonSchema {
  const { kind } = DATATYPES[datatype]
  if (kind === 'text') return { type: 'string' }
  if (kind === 'boolean') return { type: 'boolean' }
  return kind === 'float' ? { type: 'number', nullable: true, description: datatype } : { type: 'integer', description: datatype }
}
