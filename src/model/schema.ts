import { Kind, OptionalKind, type Static, type TSchema, Type } from '@sinclair/typebox'
import { Errors } from '@sinclair/typebox/errors'
import { type Fault, matches } from '../schema/check.ts'
import type { Datatype } from '../tensor/datatypes.ts'
import type { TensorSpec } from '../tensor/tensor.ts'
import type { ModelTensor } from './model-tensor.ts'
import { Picture } from './picture.ts'
import { ruleOfError } from './rules.ts'

/** A schema of another library that follows Standard Schema, version 1 (zod, valibot, arktype …). */
export interface StandardSchema<Value = unknown> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult<Value> | Promise<StandardResult<Value>>
    /** Of libraries that can write their schema as JSON Schema. */
    readonly jsonSchema?: {
      readonly input?: (options: { readonly target: string }) => unknown
      readonly output?: (options: { readonly target: string }) => unknown
    }
    readonly types?: { readonly input: unknown; readonly output: Value } | undefined
  }
}

type StandardResult<Value> =
  | { readonly value: Value; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[] }

/** What says of a value what it must be: a schema made with `t`, `text`, `image` or `tensor`, or a Standard Schema. */
export type ValueSchema = TSchema | StandardSchema

/** The type of the values of a schema. */
export type ValueOf<S extends ValueSchema> = S extends StandardSchema<infer Value> ? Value : S extends TSchema ? Static<S> : never

/** How a value comes over HTTP and goes back. */
export type ValueForm = 'json' | 'text' | 'image' | 'tensor'

/** A schema as plain data: what the documentation, the metadata and the codecs know of it. */
export interface DescribedValue {
  readonly form: ValueForm
  /** JSON Schema; empty where the schema cannot say. */
  readonly schema: Readonly<Record<string, unknown>>
  /** Of form `tensor`, and of `image`: its bytes once it is decoded. */
  readonly tensor?: Omit<TensorSpec, 'name'>
}

export interface TextOptions {
  /** Fewest characters; default 1. */
  readonly min?: number
  /** Most characters; default 100 000. */
  readonly max?: number
  readonly description?: string
}

const TEXT_MAX = 100_000
/** Where a schema says how its value comes; no word of JSON Schema. */
const FORM = 'vestalForm'

/**
 * A text. As the whole input or output of a model it is a plain BYTES element in the Open Inference Protocol.
 *
 * @example
 * model({ input: text({ max: 4000 }), output: t.Number(), predict: (line) => line.length })
 */
export function text({ min = 1, max = TEXT_MAX, description }: TextOptions = {}) {
  return Type.String({ minLength: min, maxLength: max, [FORM]: 'text', ...(description !== undefined && { description }) })
}

/**
 * A tensor, which is the whole input or output: it comes as tensors of the Open Inference Protocol or as rows of JSON.
 *
 * @example
 * model({ input: tensor('FP32', [-1, 4]), output: t.Number(), predict: (rows) => rows.row(0)[0] ?? 0 })
 */
export function tensor(datatype: Datatype, shape: readonly number[]) {
  return Type.Unsafe<ModelTensor>({ type: 'array', items: {}, [FORM]: 'tensor', tensor: { datatype, shape: [...shape] } })
}

export interface ImageOptions {
  /** Most pixels; default 20 million, at most 22 million. */
  readonly pixelsMax?: number
  readonly description?: string
}

/** Three bytes a pixel are the elements of one tensor. */
const [PIXELS, PIXELS_MAX] = [20_000_000, 22_000_000]

/**
 * A picture, which is the whole input: it comes as a file, in a form or in base64, and the functions get it decoded.
 *
 * @example
 * model({ input: image(), output: t.Integer(), predict: (picture) => picture.width })
 *
 * @throws RangeError where `pixelsMax` is not 1 to 22 million
 */
export function image({ pixelsMax = PIXELS, description }: ImageOptions = {}) {
  if (!Number.isInteger(pixelsMax) || pixelsMax < 1 || pixelsMax > PIXELS_MAX)
    throw new RangeError(`image({ pixelsMax }): it must be a whole number from 1 to ${PIXELS_MAX}, not ${pixelsMax}`)
  return Type.Unsafe<Picture>({
    type: 'string',
    contentEncoding: 'base64',
    description: description ?? `A picture of at most ${pixelsMax} pixels`,
    [FORM]: 'image',
    pixelsMax,
    tensor: { datatype: 'UINT8', shape: [1, -1, -1, 3] },
  })
}

/** True for a schema that has a picture inside of other values, where none can come. */
export function hasInnerPicture(schema: ValueSchema): boolean {
  return !isStandard(schema) && formOf(schema) !== 'image' && JSON.stringify(schema).includes(`"${FORM}":"image"`)
}

/** True for a schema of another library. */
function isStandard(schema: ValueSchema): schema is StandardSchema {
  return '~standard' in schema
}

function isTypeBox(schema: unknown): schema is TSchema {
  return typeof schema === 'object' && schema !== null && Kind in schema
}

/** Says whether something can be a schema of a value. */
export function isSchema(schema: unknown): schema is ValueSchema {
  return isTypeBox(schema) || (typeof schema === 'object' && schema !== null && '~standard' in schema)
}

/** How a value comes. */
export function formOf(schema: ValueSchema): ValueForm {
  const form: unknown = isStandard(schema) ? undefined : schema[FORM]
  return form === 'text' || form === 'image' || form === 'tensor' ? form : 'json'
}

/** A schema as plain data. */
export function describeValue(schema: ValueSchema, side: 'input' | 'output'): DescribedValue {
  if (isStandard(schema)) return { form: 'json', schema: standardJsonSchema(schema, side) }
  const form = formOf(schema)
  const { [FORM]: _, tensor: spec, pixelsMax: __, ...own } = schema
  // Through JSON, since what is no JSON cannot be shown, and symbols are of the library only.
  const plain: Record<string, unknown> = JSON.parse(JSON.stringify(own))
  return { form, schema: withoutForms(plain), ...((form === 'tensor' || form === 'image') && { tensor: spec }) }
}

function withoutForms(value: Record<string, unknown>): Record<string, unknown> {
  const inner = (each: unknown): unknown => {
    if (Array.isArray(each)) return each.map(inner)
    if (typeof each !== 'object' || each === null) return each
    return withoutForms(each as Record<string, unknown>)
  }
  return Object.fromEntries(Object.entries(value).flatMap(([key, each]) => (key === FORM ? [] : [[key, inner(each)]])))
}

function standardJsonSchema(schema: StandardSchema, side: 'input' | 'output'): Readonly<Record<string, unknown>> {
  try {
    const written = schema['~standard'].jsonSchema?.[side]?.({ target: 'draft-07' })
    return typeof written === 'object' && written !== null ? JSON.parse(JSON.stringify(written)) : {}
  } catch {
    // What the library cannot write is shown as open.
    return {}
  }
}

/** A value that was checked, as the schema makes it, or what is wrong with it. */
export type Checked = { readonly value: unknown; readonly faults?: undefined } | { readonly faults: readonly Fault[] }

/** Faults of one value that are reported. */
const FAULTS_MAX = 8
const RULE_LENGTH_MAX = 300
const KEY_LENGTH_MAX = 64

/** Checks a value. What a Standard Schema makes of it counts; typebox's schemas change nothing. */
export async function checkValue(schema: ValueSchema, value: unknown): Promise<Checked> {
  if (!isStandard(schema)) {
    if (formOf(schema) === 'tensor') return { value }
    if (formOf(schema) === 'image') return checkPicture(value, schema.pixelsMax)
    if (matches(schema, value)) return { value }
    return { faults: faultsOf(schema, value) }
  }
  const result = await schema['~standard'].validate(value)
  if (result.issues === undefined) return { value: result.value }
  const faults = result.issues
    .slice(0, FAULTS_MAX)
    .map(({ message, path = [] }) => ({ path: pathOf(path), rule: String(message).slice(0, RULE_LENGTH_MAX) }))
  return { faults }
}

function checkPicture(value: unknown, pixelsMax: number): Checked {
  if (!(value instanceof Picture)) return { faults: [{ path: '', rule: 'must be a picture' }] }
  const { width, height } = value
  if (width * height <= pixelsMax) return { value }
  return { faults: [{ path: '', rule: `has ${width}×${height} pixels; the most is ${pixelsMax} in all` }] }
}

/** One fault a place. */
function faultsOf(schema: TSchema, value: unknown): readonly Fault[] {
  const faults = new Map<string, string>()
  for (const error of Errors(schema, [], value)) {
    if (faults.size === FAULTS_MAX) break
    if (!faults.has(error.path)) faults.set(error.path, ruleOfError(error).slice(0, RULE_LENGTH_MAX))
  }
  return [...faults].map(([pointer, rule]) => ({ path: pathOf(keysOf(pointer)), rule }))
}

/** The keys of a JSON pointer. */
function keysOf(pointer: string): readonly unknown[] {
  const keys = pointer.split('/').slice(1)
  return keys.map((key) =>
    /^\d+$/.test(key) ? Number(key) : key.replaceAll('~1', '/').replaceAll('~0', '~').slice(0, KEY_LENGTH_MAX),
  )
}

function pathOf(path: readonly unknown[]): string {
  const keys = path.map((part) => (typeof part === 'object' && part !== null && 'key' in part ? part.key : part))
  return keys.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`
    return text === '' ? String(key) : `${text}.${String(key)}`
  }, '')
}

/**
 * The schema with objects closed that do not say whether they take other fields: a misspelt field of an input is an error, not silence.
 */
export function closed(schema: ValueSchema): ValueSchema {
  if (isStandard(schema)) return schema
  return closedType(schema)
}

function closedType(schema: TSchema): TSchema {
  // The copy keeps the symbols by which typebox knows its schemas.
  const copy: Record<string | symbol, unknown> = { ...schema }
  copy[Kind] = schema[Kind]
  if (schema[OptionalKind] !== undefined) copy[OptionalKind] = schema[OptionalKind]
  if (schema[Kind] === 'Object') {
    const properties: Record<string, TSchema> = schema.properties
    copy.properties = Object.fromEntries(Object.entries(properties).map(([name, each]) => [name, closedType(each)]))
    copy.additionalProperties ??= false
  }
  if (isTypeBox(schema.items)) copy.items = closedType(schema.items)
  else if (Array.isArray(schema.items)) copy.items = schema.items.map(closedType)
  if (Array.isArray(schema.anyOf)) copy.anyOf = schema.anyOf.map(closedType)
  // The cast: it is the same schema with fewer values.
  return copy as unknown as TSchema
}
