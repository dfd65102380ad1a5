import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Model, ModelVersion } from '../../inference/engine.ts'
import { taskShapes } from '../../tasks/bodies/task-shapes.ts'
import { isAnyShape } from '../../tensor/shape.ts'
import type { TensorSpec } from '../../tensor/tensor.ts'
import { modelsToList } from './list.ts'
import type { ModelsRequest } from './server.ts'

const FILE = 'vestal.d.ts'
const HEADER = '// Written by `vestal models types`: what the models take and give where a model.ts calls them.\n'

/** `vestal models types`: writes the types of the models into their folder, for `call` of a `model.ts`. */
export async function writeModelTypes(request: ModelsRequest): Promise<void> {
  const models = await modelsToList(request)
  const lines = models.flatMap((model) => {
    const version = model.versions.find(({ state }) => state === 'ready')
    return version === undefined
      ? []
      : [`  ${JSON.stringify(model.name)}: { input: ${inputOf(version)}; output: ${outputOf(model, version)} }`]
  })
  const path = join(request.settings.models, FILE)
  writeFileSync(path, `${HEADER}interface VestalModels {\n${lines.join('\n')}\n}\n`)
  console.log(`${path}: the types of ${lines.length} models`)
}

function inputOf({ inputs, code, task }: ModelVersion): string {
  if (task?.text !== undefined) return typeOf(taskShapes(task).input)
  if (task?.image !== undefined || code?.input.form === 'image') return "import('vestal/model').Picture"
  if (code !== undefined && code.input.form !== 'tensor') return typeOf(code.input.schema)
  const [only, ...others] = inputs
  if (only !== undefined && others.length === 0) return nested(only)
  return `{ ${inputs.map((spec) => `${JSON.stringify(spec.name)}: ${nested(spec)}`).join('; ')} }`
}

function outputOf(model: Pick<Model, 'labels'>, version: ModelVersion): string {
  const { outputs, code, task } = version
  if (task !== undefined) return 'any'
  if (code !== undefined && code.output.form !== 'tensor') return typeOf(code.output.schema)
  // Over HTTP labels are an object.
  const labels = new Map(
    version.labels instanceof Map
      ? version.labels
      : Object.entries(model.labels instanceof Map ? Object.fromEntries(model.labels) : model.labels),
  )
  const rows = outputs.map((spec) => [JSON.stringify(spec.name), rowOf(spec, labels.get(spec.name))] as const)
  const [only, ...others] = rows
  if (only !== undefined && others.length === 0) return `(${only[1]})[]`
  return `{ ${rows.map(([name, type]) => `${name}: ${type}`).join('; ')} }[]`
}

function rowOf(spec: TensorSpec, labels: readonly string[] | undefined): string {
  if (labels === undefined) return nested({ ...spec, shape: spec.shape.slice(1) })
  const names = labels.map((label) => JSON.stringify(label)).join(' | ')
  return spec.datatype.includes('INT') ? names : `Record<${names}, number>`
}

function nested({ datatype, shape }: TensorSpec): string {
  if (isAnyShape(shape)) return 'unknown'
  const element = datatype === 'BYTES' ? 'string' : datatype === 'BOOL' ? 'boolean' : 'number'
  return `${element}${'[]'.repeat(shape.length)}`
}

type JsonSchema = Readonly<Record<string, unknown>>
const PRIMITIVES: Readonly<Record<string, string>> = {
  string: 'string',
  number: 'number',
  integer: 'number',
  boolean: 'boolean',
  null: 'null',
}

/** A JSON Schema as a type of TypeScript; what it cannot say is unknown. */
function typeOf(schema: unknown): string {
  if (typeof schema !== 'object' || schema === null) return 'unknown'
  const { type, const: constant, enum: words, anyOf, items, properties, required, additionalProperties } = schema as JsonSchema
  if (constant !== undefined) return JSON.stringify(constant)
  if (Array.isArray(words)) return words.map((word) => JSON.stringify(word)).join(' | ')
  if (Array.isArray(anyOf)) return `(${anyOf.map(typeOf).join(' | ')})`
  if (type === 'array') return Array.isArray(items) ? `[${items.map(typeOf).join(', ')}]` : `(${typeOf(items)})[]`
  if (type !== 'object') return typeof type === 'string' ? (PRIMITIVES[type] ?? 'unknown') : 'unknown'
  const fields = Object.entries((properties ?? {}) as JsonSchema)
  if (fields.length === 0) return `Record<string, ${typeOf(additionalProperties)}>`
  const isNeeded = (name: string) => Array.isArray(required) && required.includes(name)
  return `{ ${fields.map(([name, each]) => `${JSON.stringify(name)}${isNeeded(name) ? '' : '?'}: ${typeOf(each)}`).join('; ')} }`
}
